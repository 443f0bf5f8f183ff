"""The finder among 5,000 entries: time of one message, memory and building, beside plain BM25."""

import gc
import math
import random
import statistics
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from actions.find import Finder
from actions.knowledge.model import CatalogueEntry
from nlu.text import fold, normalize
from tests.bench.results import Figure

ENTRIES = 5000
MESSAGES = 200
Make = Callable[[Sequence[CatalogueEntry]], object]
BESIDE = "plain BM25"
_SEED = 20261124
_KINDS = ("procedure", "situation")

_VERBS = (
    "cấp", "cấp mới", "cấp lại", "cấp đổi", "gia hạn", "thu hồi", "điều chỉnh", "đăng ký",
    "đăng ký lại", "đăng ký thay đổi", "xóa đăng ký", "thẩm định", "phê duyệt", "xác nhận",
    "công nhận", "công bố", "chấp thuận", "đề nghị hỗ trợ", "chuyển nhượng", "tạm ngừng",
)  # fmt: skip
_ASKED_AS = ("làm", "xin", "nộp hồ sơ", "đổi", "muốn có", "thủ tục")
_OBJECTS = (
    "giấy phép", "giấy phép hoạt động", "giấy chứng nhận", "giấy chứng nhận đủ điều kiện",
    "chứng chỉ hành nghề", "giấy phép kinh doanh", "giấy phép xây dựng", "thẻ hành nghề",
    "quyết định thành lập", "hồ sơ", "phương án", "kế hoạch", "chế độ trợ cấp", "bản sao trích lục",
    "quyền sử dụng", "giấy xác nhận", "báo cáo đánh giá tác động môi trường", "tài khoản", "mã số",
    "chương trình đào tạo", "kết quả kiểm tra", "biển hiệu", "phương tiện", "hợp đồng",
)  # fmt: skip
_FIELDS = (
    "khai sinh", "kết hôn", "khai tử", "nhận cha mẹ con", "nuôi con nuôi", "hộ kinh doanh",
    "hợp tác xã", "khám bệnh chữa bệnh", "dịch vụ karaoke", "vận tải hành khách", "dịch vụ in",
    "xả nước thải", "chăn nuôi trang trại", "đất nông nghiệp", "đất ở", "nhà ở xã hội",
    "nhà chung cư", "phòng cháy chữa cháy", "văn phòng luật sư", "văn phòng công chứng",
    "giám định tư pháp", "trợ giúp pháp lý", "trường mầm non", "trung tâm ngoại ngữ", "dạy nghề",
    "tư vấn du học", "dạy thêm", "thư viện", "biểu diễn nghệ thuật", "lễ hội", "di tích lịch sử",
    "hướng dẫn viên du lịch", "khách sạn", "quảng cáo ngoài trời", "trạm phát sóng", "chữ ký số",
    "lao động nước ngoài", "bảo hiểm thất nghiệp", "người khuyết tật", "người cao tuổi",
    "người có công", "liệt sĩ", "trẻ em mồ côi", "cai nghiện ma túy", "hộ nghèo",
    "sinh hoạt tôn giáo",
    "hội quần chúng", "quỹ từ thiện", "thi đua khen thưởng", "nghĩa vụ quân sự", "con dấu",
    "căn cước", "tạm trú", "hộ chiếu", "lý lịch tư pháp", "phiên dịch", "đấu giá tài sản",
)  # fmt: skip
_DEEDS = (
    "sản xuất", "chế biến", "buôn bán", "bán lẻ", "bán buôn", "nhập khẩu", "xuất khẩu", "khai thác",
    "vận chuyển", "bảo quản", "kiểm nghiệm", "lưu hành", "sửa chữa", "lắp đặt", "cho thuê",
    "kiểm định", "thử nghiệm", "tái chế", "tiêu hủy", "thăm dò",
)  # fmt: skip
_GOODS = (
    "thuốc lá", "rượu", "xăng dầu", "khí hóa lỏng", "phân bón", "thuốc thú y",
    "thuốc bảo vệ thực vật",
    "giống cây trồng", "giống vật nuôi", "thức ăn chăn nuôi", "thức ăn thủy sản", "tàu cá",
    "gỗ quý",
    "động vật hoang dã", "cây cảnh", "mật ong", "tổ yến", "sữa bột", "nước đóng chai", "muối ăn",
    "gạo", "cà phê", "hồ tiêu", "thịt đông lạnh", "rau an toàn", "phụ gia thực phẩm", "mỹ phẩm",
    "dược liệu", "vắc xin", "trang thiết bị y tế", "máu", "hóa chất", "tiền chất công nghiệp",
    "vật liệu nổ", "pháo hoa", "súng săn", "vàng trang sức", "kim loại quý", "cát sỏi", "đá vôi",
    "than bùn", "quặng sắt", "nước dưới đất", "nước khoáng", "phế liệu", "chất thải nguy hại",
    "ắc quy", "lò hơi", "thang máy", "cần trục", "nồi hấp", "máy gặt", "xe ô tô", "xe máy điện",
    "xe ba bánh", "mũ bảo hiểm", "tàu biển", "thuyền buồm", "máy bay không người lái", "dù lượn",
    "thiết bị bức xạ", "máy đo tốc độ", "đồng hồ nước", "công tơ điện", "điện mặt trời", "điện gió",
    "sách giáo khoa", "báo in", "phim ảnh", "băng đĩa", "trò chơi điện tử", "cổ vật", "tượng đài",
    "tem bưu chính", "phần mềm mật mã", "vé số", "đồ chơi trẻ em", "gạch ngói", "xi măng",
    "kính nổi",
)  # fmt: skip
_FOR = (
    "cho cá nhân", "cho tổ chức", "cho hộ gia đình", "cho doanh nghiệp nhỏ và vừa",
    "có yếu tố nước ngoài", "đối với người Việt Nam định cư ở nước ngoài", "do bị mất hoặc hỏng",
    "do thay đổi địa chỉ trụ sở", "do thay đổi người đại diện theo pháp luật", "lần đầu",
    "trong trường hợp sáp nhập", "theo ủy quyền", "quy mô nhỏ lẻ", "bằng nguồn vốn ngân sách",
)  # fmt: skip
_PLACES = (
    "tại cấp xã", "tại cấp tỉnh", "tại khu vực biên giới", "trong khu công nghiệp",
    "trên đảo", "tại cảng biển", "trong khu bảo tồn", "tại vùng đồng bào dân tộc thiểu số",
    "trên vỉa hè", "tại cửa khẩu", "tại chợ", "trong khu công nghệ cao",
)  # fmt: skip
_ENDINGS = ("cần giấy tờ gì", "hết bao nhiêu tiền", "mấy ngày có", "nộp ở đâu", "làm sao ạ")
_STRANGERS = (
    "thời tiết hôm nay thế nào", "cho hỏi chút", "giá vàng bao nhiêu", "kể chuyện cười đi",
    "lệ phí bao nhiêu", "cần giấy gì", "mấy giờ mở cửa", "đội nào vô địch bóng đá năm nay",
    "mua vé máy bay đi chơi ở đâu rẻ", "tôi muốn hỏi thủ tục hành chính", "hồ sơ tới đâu rồi",
)  # fmt: skip
_CLAUSES = (
    "hôm trước tôi ra phường nộp hồ sơ mà cán bộ bảo còn thiếu giấy tờ",
    "nhà tôi có mảnh đất ông bà để lại từ hồi trước giải phóng",
    "vợ chồng tôi cưới nhau được mười năm mà giấy kết hôn bị mối ăn mất",
    "mẹ tôi năm nay tám mươi hai tuổi đi lại khó khăn",
    "con tôi sinh ở bệnh viện tỉnh khác rồi về đây sống với ông bà ngoại",
    "em đang mở quán ăn nhỏ ở chợ và thuê thêm hai người phụ việc",
    "công ty cũ của tôi vừa sáp nhập rồi đổi tên và chuyển địa chỉ trụ sở",
    "chồng em là người nước ngoài đang làm việc theo hợp đồng lao động",
    "tôi đã hỏi người quen làm ở xã nhưng mỗi người nói một kiểu",
    "bên xây dựng yêu cầu phải có giấy phép trước khi khởi công",
    "trước đây đã được cấp giấy chứng nhận nhưng thông tin bị sai ngày tháng",
    "bây giờ người ta bảo nộp trực tuyến mà tôi không biết dùng điện thoại",
    "tôi làm nghề tự do nên không có bảo hiểm xã hội gì cả",
    "hàng xóm nuôi heo xả nước thải ra kênh làm cá của tôi chết hết",
    "ba tôi là thương binh nên được hưởng chế độ người có công",
    "mong anh chị hướng dẫn giúp cho đỡ phải đi lại nhiều lần",
    "tôi chạy xe ô tô tải chở hàng thuê cho mấy cơ sở kinh doanh trong vùng",
    "cháu vừa học xong trường nghề và muốn đi làm ngay",
)
_LONGEST_STORY = 60


def figures(rounds: int) -> list[Figure]:
    """What one message takes, how much the finder holds, and how long it takes to build."""
    entries = generated()
    texts = messages(entries)
    finder, plain = Finder(entries), PlainBM25(entries)
    sides: tuple[Callable[[str], object], ...] = (
        lambda text: [finder.find(text, kind, {}) for kind in _KINDS],
        plain.find,
    )
    times = [[_times(side, texts) for side in sides] for _ in range(rounds)]
    built = [[_build_ms(make, entries) for make in (Finder, PlainBM25)] for _ in range(rounds)]
    held = [_megabytes(make, entries) for make in (Finder, PlainBM25)]
    among = f"among {len(entries)} entries"

    def figure(
        name: str, what: str, unit: str, both: Sequence[Sequence[float]], limit: float | None
    ) -> Figure:
        ours, peer = zip(*both, strict=True)
        return Figure(name, what, unit, "lower", ours, peer, limit=limit, beside=BESIDE)

    return [
        figure("find_median", f"find what one message means {among}", "ms",
               [[statistics.median(side) for side in both] for both in times], 2.0),
        figure("find_p95", f"the same, of {len(texts)} messages the 95th in a hundred", "ms",
               [[statistics.quantiles(side, n=20)[-1] for side in both] for both in times], 5.0),
        figure("find_memory", f"memory that the finder holds {among}", "MB", [held], 50.0),
        figure("find_build", f"build the finder {among}", "ms", built, None),
    ]  # fmt: skip


def generated(count: int = ENTRIES) -> list[CatalogueEntry]:
    """Made-up procedures with two or three other names each, the same in every run.

    No two of all their names are alike without accents.
    """
    chance, taken = random.Random(_SEED), set[str]()
    entries: list[CatalogueEntry] = []
    while len(entries) < count:
        name, *others = _some_names(chance)
        free = [other for other in dict.fromkeys(others) if fold(other) not in taken][:3]
        if fold(name) in taken or len(free) < 2:
            continue
        taken.update(fold(one) for one in (name, *free))
        number = len(entries)
        entries.append(
            CatalogueEntry(
                id=f"sinh_ra_{number}",
                kind="procedure",
                code=f"8.{number:06d}",
                name=name,
                also_called=tuple(free),
            )
        )
    return entries


def messages(entries: Sequence[CatalogueEntry], count: int = MESSAGES) -> list[str]:
    """What people write, from three words to sixty, normalised, half of it without diacritics."""
    chance = random.Random(_SEED)
    shapes = (_opening, _stranger, _question, _question, _nickname, _long, _long, _longest)
    texts = [shapes[n % len(shapes)](chance, chance.choice(entries)) for n in range(count)]
    bare = len(shapes)
    return [
        normalize(fold(text) if number // bare % 2 else text) for number, text in enumerate(texts)
    ]


class PlainBM25:
    """What a textbook would do: every name a document, every word scored, the best five told."""

    def __init__(self, entries: Sequence[CatalogueEntry]) -> None:
        named = [(e.id, fold(name).split()) for e in entries for name in (e.name, *e.also_called)]
        self._ids = [id_ for id_, _ in named]
        usual = statistics.mean(len(words) for _, words in named)
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (_, words) in enumerate(named):
            for word, count in Counter(words).items():
                length = 0.25 + 0.75 * len(words) / usual
                self._postings[word].append((number, 2.2 * count / (count + 1.2 * length)))
        self._rare = {
            word: math.log(1 + (len(named) - len(held) + 0.5) / (len(held) + 0.5))
            for word, held in self._postings.items()
        }

    def find(self, text: str) -> list[str]:
        """The ids of the five best names."""
        scores: dict[int, float] = defaultdict(float)
        for word in set(fold(text).split()):
            for number, weight in self._postings.get(word, ()):
                scores[number] += weight * self._rare[word]
        return [self._ids[n] for n in sorted(scores, key=lambda n: -scores[n])[:5]]


def _times(find: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    """Milliseconds of each message; other work of the machine does not count."""
    times = []
    for text in texts:
        started = time.thread_time()
        find(text)
        times.append(1000 * (time.thread_time() - started))
    return times


def _build_ms(make: Make, entries: Sequence[CatalogueEntry]) -> float:
    started = time.thread_time()
    make(entries)
    return 1000 * (time.thread_time() - started)


def _megabytes(make: Make, entries: Sequence[CatalogueEntry]) -> float:
    """What is held when it is built."""
    tracemalloc.start()
    try:
        made = make(entries)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        del made
    finally:
        tracemalloc.stop()
    return held / 1e6


def _some_names(chance: random.Random) -> list[str]:
    """A full name and further ones, the shortest first."""
    verb, what, deed, goods, whom, place, asked = (
        chance.choice(part) for part in (_VERBS, _OBJECTS, _DEEDS, _GOODS, _FOR, _PLACES, _ASKED_AS)
    )
    field = chance.choice((chance.choice(_FIELDS), f"{deed} {goods}"))
    details = chance.choice(((), (whom,), (place,), (whom, place)))
    full = " ".join((verb, what, field, *details))
    return [
        full[0].upper() + full[1:],
        f"{asked} {field}",
        f"{what} {field}",
        f"{verb} {field} {place}",
        f"{what} {field} {whom}",
        f"{asked} {what} {field} {place}",
    ]


def _opening(_: random.Random, entry: CatalogueEntry) -> str:
    return " ".join(entry.name.split()[:3])


def _stranger(chance: random.Random, _: CatalogueEntry) -> str:
    return chance.choice(_STRANGERS)


def _question(chance: random.Random, entry: CatalogueEntry) -> str:
    return f"{entry.name} {chance.choice(_ENDINGS)}"


def _nickname(chance: random.Random, entry: CatalogueEntry) -> str:
    return f"{chance.choice(entry.also_called)} {chance.choice(_ENDINGS)}"


def _long(chance: random.Random, entry: CatalogueEntry) -> str:
    """A story that comes to the point."""
    told = chance.sample(_CLAUSES, chance.randint(1, 3))
    return f"{', '.join(told)}, giờ {_nickname(chance, entry)}"


def _longest(chance: random.Random, _: CatalogueEntry) -> str:
    """A story that names nothing."""
    told = ", ".join(chance.sample(_CLAUSES, 6))
    return " ".join(told.split()[:_LONGEST_STORY])
