"""A small invented data set: flights are asked for, priced, cancelled, and people greet."""

import json
import re
from pathlib import Path
from typing import Any

TRAIN = """
find: tìm chuyến bay từ [Hà Nội](from) đến [Đà Nẵng](to)
find: cho tôi chuyến bay từ [Huế](from) đi [Cần Thơ](to) [sáng mai](day)
find: có chuyến nào từ [Vinh](from) vào [Sài Gòn](to) [tối nay](day) không
find: tôi muốn bay từ [Hải Phòng](from) đến [Phú Quốc](to) [thứ sáu](day)
find: xem giúp chuyến [Đà Lạt](from) đi [Hà Nội](to) [ngày 12](day)
find: chuyến bay từ [Sài Gòn](from) đến [Vinh](to) hãng [Sao Mai](airline)
find: tìm chuyến của [Cánh Cò](airline) từ [Cần Thơ](from) đi [Huế](to)
find: có máy bay từ [Phú Quốc](from) đến [Hải Phòng](to) [chủ nhật](day) không
find: liệt kê chuyến bay đến [Đà Lạt](to) [sáng mai](day)
find: bay từ [Đà Nẵng](from) đi [Nha Trang](to) có chuyến nào
find: tìm chuyến [thứ hai](day) từ [Nha Trang](from) đến [Huế](to)
find: cho xem chuyến [Sao Mai](airline) đi [Cần Thơ](to) [ngày 3](day)
fare: vé từ [Hà Nội](from) đến [Huế](to) bao nhiêu tiền
fare: giá vé từ [Vinh](from) đi [Đà Lạt](to) [thứ sáu](day) là bao nhiêu
fare: bay [Cánh Cò](airline) đến [Phú Quốc](to) hết bao nhiêu
fare: vé rẻ nhất từ [Cần Thơ](from) đến [Đà Nẵng](to) giá mấy
fare: giá vé đi [Nha Trang](to) [tối nay](day) bao nhiêu tiền
fare: vé hạng nhất của [Sao Mai](airline) từ [Huế](from) giá bao nhiêu
fare: đi [Hải Phòng](to) [ngày 20](day) vé bao nhiêu
fare: cho hỏi giá vé từ [Sài Gòn](from) đến [Hà Nội](to)
fare: vé khứ hồi từ [Đà Lạt](from) đi [Vinh](to) mất bao nhiêu tiền
fare: giá vé [Cánh Cò](airline) [chủ nhật](day) thế nào
cancel: hủy vé đi [Huế](to) giúp tôi
cancel: tôi muốn hủy chuyến [sáng mai](day)
cancel: hủy chỗ đã đặt của [Sao Mai](airline)
cancel: bỏ vé từ [Hà Nội](from) đến [Cần Thơ](to) cho tôi
cancel: không đi nữa, hủy vé [thứ hai](day)
cancel: hủy giúp chuyến bay [Cánh Cò](airline) [ngày 7](day)
cancel: trả lại vé đi [Đà Nẵng](to)
cancel: cho tôi hủy chuyến từ [Nha Trang](from)
greet: xin chào
greet: chào bạn
greet: chào buổi sáng
greet: em chào anh chị
greet: alo có ai không
greet: chào cả nhà
"""

TEST = """
find: tìm chuyến bay từ [Huế](from) đến [Hà Nội](to) [thứ sáu](day)
find: có chuyến nào từ [Cần Thơ](from) đi [Vinh](to) không
find: tôi muốn bay từ [Nha Trang](from) đến [Sài Gòn](to) [ngày 15](day)
find: chuyến bay [Sao Mai](airline) đến [Phú Quốc](to) [sáng mai](day)
find: cho xem chuyến từ [Đà Nẵng](from) đi [Đà Lạt](to)
find: tìm chuyến của [Sao Mai](airline) từ [Vinh](from) đi [Hải Phòng](to)
fare: giá vé từ [Đà Nẵng](from) đến [Cần Thơ](to) bao nhiêu
fare: vé đi [Đà Lạt](to) [chủ nhật](day) bao nhiêu tiền
fare: vé rẻ nhất từ [Hải Phòng](from) đến [Huế](to) giá mấy
fare: bay [Sao Mai](airline) đến [Vinh](to) hết bao nhiêu
fare: cho hỏi giá vé từ [Hà Nội](from) đi [Nha Trang](to)
cancel: hủy vé đi [Hà Nội](to) giúp tôi
cancel: tôi muốn hủy chuyến [tối nay](day)
cancel: hủy chuyến bay của [Cánh Cò](airline) [thứ hai](day)
cancel: trả lại vé từ [Huế](from) đến [Vinh](to)
greet: chào anh
greet: xin chào bạn
greet: chào buổi tối
"""

_MARKED = re.compile(r"\[([^]]+)]\((\w+)\)")


def examples(listed: str) -> list[dict[str, Any]]:
    """The lines as objects, with the place of each entity in the text."""
    return [_example(*line.split(": ", 1)) for line in listed.strip().splitlines()]


def write_examples(path: Path, given: list[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in given), "utf-8")
    return path


def _example(intent: str, marked: str) -> dict[str, Any]:
    text, entities = "", []
    for at, part in enumerate(_MARKED.split(marked)):
        if at % 3 == 2:
            entities[-1]["entity"] = part
            continue
        if at % 3 == 1:
            entities.append({"start": len(text), "end": len(text) + len(part), "value": part})
        text += part
    return {"text": text, "intent": intent, "entities": entities}
