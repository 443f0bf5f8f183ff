"""`make bench`: one turn of ours beside one of stock Rasa, measured in the same run."""
