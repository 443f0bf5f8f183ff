"""The ten lines that both sides are told, and what a stock assistant must take them for."""

LINES: tuple[tuple[str, str], ...] = (
    ("xin chào", "greet"),
    ("làm giấy khai sinh cho con hết bao nhiêu tiền", "ask_procedure"),
    ("cần giấy tờ gì", "ask_procedure"),
    ("bao lâu thì có kết quả", "ask_procedure"),
    (
        "tôi muốn phản ánh bộ phận một cửa làm việc quá chậm, chờ cả buổi sáng không ai gọi",
        "bring_case",
    ),
    ("Đồng ý", "affirm"),
    ("quầy số 3 bộ phận một cửa phường", "bring_case"),
    ("sáng thứ Hai vừa rồi", "bring_case"),
    ("Gửi không nêu tên", "affirm"),
    ("Gửi", "affirm"),
)
"""A greeting, three questions on one procedure, then a case from its story to its code."""

TEXTS: tuple[str, ...] = tuple(text for text, _ in LINES)
