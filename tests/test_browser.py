"""The web chat in headless Chromium, against a gateway that runs for real with a fake nlu."""

import os
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
    expect,
)

from actions.cases import CaseCode
from bot import desk
from bot import store as bot_store
from bot.clock import system_clock
from bot.gateway import assemble, create_app
from bot.nlu_process import free_port
from bot.settings import Settings
from bot.store import Store
from bot.store.keys import KeyRing
from bot.turn import House
from tests.fakes.nlu import FakeNlu
from tests.fakes.visitor import code_in, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.asyncio(loop_scope="module"),
]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}

DOCUMENTS = "lam giay khai sinh can giay to gi"
FEE = "lệ phí khai sinh bao nhiêu"
GIFT = "Công chức nhận quà Tết của doanh nghiệp được không?"
STORY = "một cửa phường làm chậm quá, chờ cả buổi sáng không ai gọi"
UNSURE = "dang ky tam tru"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and "MOTCUA_EVERYTHING_TESTED" not in os.environ:
        pytest.skip("no chromium on PATH")
    assert path is not None, "no chromium on PATH: apt install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Gateway:
    """A gateway that can be stopped and started again on the same port."""

    settings: Settings
    house: House
    store: Store
    keys: KeyRing
    nlu: FakeNlu
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    async def start(self) -> None:
        app = create_app(assemble(self.settings, self.house, self.store, system_clock))
        await self.stack.enter_async_context(running(app, self.settings.port))

    async def stop(self) -> None:
        await self.stack.aclose()

    async def officer_answers(self, code: str, text: str) -> None:
        """An officer at the command line: another process, so another store."""
        desk_store = Store(self.store.engine.url.render_as_string(), self.keys, durable=False)
        await desk_store.run(
            desk.answer, self.house, CaseCode.parse(code), text, "officer", system_clock()
        )
        desk_store.close()


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, house: House, keys: KeyRing
) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)
    store = Store(f"sqlite:///{tmp_path / 'motcua.db'}", keys, durable=False)
    store.migrate()
    async with FakeNlu(tmp_path / "nlu-token").listening() as nlu:
        khai_sinh = ("dang_ky_khai_sinh", "procedure")
        nlu.knows(DOCUMENTS, "ask_procedure", facets=("documents",), topic=khai_sinh)
        nlu.knows(FEE, "ask_procedure", facets=("fee",), topic=khai_sinh)
        nlu.knows(GIFT, "ask_conduct", topic=("qua_tet_doanh_nghiep", "situation"))
        nlu.knows(STORY, "bring_case", kind="feedback")
        nlu.knows("Tôi muốn gửi phản ánh", "bring_case", kind="feedback")
        nlu.knows(UNSURE, "gibberish", confidence=0.2)
        nlu.knows("chào", "greet")
        settings = Settings(_env_file=None, var=tmp_path, port=free_port(), nlu_url=nlu.url)
        gateway = Gateway(settings, house, store, keys, nlu)
        await gateway.start()
        yield gateway
        await gateway.stop()
    store.close()


class Chat:
    """The page as a citizen uses it: finds things by the names they are announced with."""

    def __init__(self, page: Page, gateway: Gateway) -> None:
        self.page = page
        self.gateway = gateway
        self.troubles: list[str] = []
        self.log = page.get_by_role("log", name="Cuộc trò chuyện")
        self.field = page.get_by_role("textbox", name="Tin nhắn của Anh/Chị")
        self.answers = self.log.locator(".office")
        self.questions = self.log.locator(".citizen")
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(message.text)

    async def open(self) -> None:
        await self.page.goto(self.gateway.url)
        await expect(self.page.get_by_role("heading", name="Kính chào Anh/Chị")).to_be_visible()

    async def says(self, text: str) -> Locator:
        """Types a message, sends it with Enter, and gives the answer."""
        return await self._answer_to(self._types(text))

    async def presses(self, label: str) -> Locator:
        """Presses the newest choice of that label, and gives the answer."""
        button = self.log.get_by_role("button", name=re.compile(rf"^\d+\. {label}$")).last
        return await self._answer_to(button.click())

    async def _types(self, text: str) -> None:
        await self.field.fill(text)
        await self.field.press("Enter")

    async def _answer_to(self, doing: Any) -> Locator:
        before = await self.answers.count()
        await doing
        await expect(self.answers).to_have_count(before + 1)
        return self.answers.nth(before)

    async def files(self, story: str) -> str:
        """Brings a case with the buttons of the form; gives its code."""
        await self.says(story)
        await self.presses("Đồng ý")
        await self.says("quầy số 3")
        await self.says("sáng thứ hai")
        await self.presses("Gửi không nêu tên")
        taken = await self.presses("Gửi")
        return code_in(await taken.inner_text())

    async def told(self) -> list[str]:
        """Every message that stands in the log, as words."""
        return [
            re.sub(r"\s+", " ", text).strip()
            for text in await self.log.locator(".message").all_inner_texts()
        ]


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport=DESK, reduced_motion="reduce", locale="vi-VN")
    context.set_default_timeout(5000)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def chat(context: BrowserContext, gateway: Gateway) -> AsyncIterator[Chat]:
    """An open page; whatever a browser complains of fails the test."""
    chat = Chat(await context.new_page(), gateway)
    await chat.open()
    yield chat
    assert chat.troubles == []


# the three jobs and the officer's answer


async def test_a_procedure_is_answered_and_its_source_opens(chat: Chat) -> None:
    answer = await chat.says(DOCUMENTS)
    await expect(answer).to_contain_text("Giấy chứng sinh")
    source = answer.locator("details.details")
    await expect(source.get_by_text("Luật Hộ tịch").first).to_be_hidden()
    await source.locator("summary").click()
    await expect(source.get_by_text("Luật Hộ tịch").first).to_be_visible()
    await expect(source).to_contain_text("chưa có cơ quan nào rà soát")


async def test_what_was_not_asked_is_folded_and_opens(chat: Chat) -> None:
    answer = await chat.says(FEE)
    await expect(answer.locator(".words").first).to_contain_text("không thu")
    more = answer.locator("details.more")
    await expect(more.locator(".words")).to_be_hidden()
    await more.locator("summary").click()
    await expect(more.locator(".words")).to_be_visible()


async def test_a_starter_asks_about_conduct_and_the_answer_has_four_parts(chat: Chat) -> None:
    await chat.page.get_by_role("button", name=GIFT).click()
    answer = chat.answers.first
    for part in ("Kết luận: không được", "Vì sao", "Căn cứ", "Làm gì ngay"):
        await expect(answer).to_contain_text(part)


async def test_feedback_is_filed_with_buttons_and_the_officers_answer_comes_by_itself(
    chat: Chat, gateway: Gateway
) -> None:
    code = await chat.files(STORY)
    await gateway.officer_answers(code, "Phường đã mở thêm một quầy.")
    notice = chat.log.locator(".notice")
    await expect(notice).to_contain_text("Phường đã mở thêm một quầy.")
    await expect(notice).to_contain_text(code)
    await expect(notice).to_contain_text("Cơ quan trả lời")


async def test_a_reload_keeps_the_whole_conversation(chat: Chat, gateway: Gateway) -> None:
    code = await chat.files(STORY)
    before = await chat.told()
    await chat.page.reload()
    await expect(chat.log).not_to_have_attribute("aria-busy", "true")
    assert await chat.told() == before
    await expect(chat.page.locator("#welcome")).to_be_hidden()
    await chat.page.goto("about:blank")
    await gateway.officer_answers(code, "Phường đã mở thêm một quầy.")
    await chat.page.goto(gateway.url)
    await expect(chat.log.locator(".notice")).to_have_count(1)
    assert (await chat.told())[:-1] == before


async def test_another_browser_sees_nothing_of_it(chat: Chat, browser: Browser) -> None:
    await chat.says(FEE)
    stranger = await browser.new_context()
    other = Chat(await stranger.new_page(), chat.gateway)
    await other.open()
    await expect(other.log.locator(".message")).to_have_count(0)
    await stranger.close()


async def test_two_pages_of_one_person_show_the_same_answer(
    chat: Chat, context: BrowserContext
) -> None:
    other = Chat(await context.new_page(), chat.gateway)
    await other.open()
    await chat.says(FEE)
    await expect(other.answers).to_have_count(1)
    await expect(other.answers.first).to_contain_text("không thu")


# keyboard, screen reader, phone, dark


async def test_everything_works_with_the_keyboard_alone(chat: Chat) -> None:
    keyboard = chat.page.keyboard
    await keyboard.press("Tab")
    await expect(chat.page.get_by_role("link", name="Đến ô nhập tin nhắn")).to_be_focused()
    await keyboard.press("Enter")
    await expect(chat.field).to_be_focused()
    await keyboard.type(UNSURE)
    await keyboard.press("Enter")
    await expect(chat.answers).to_have_count(1)
    choice = chat.log.get_by_role("button", name="Đăng ký tạm trú").first
    await _tab_to(chat, choice, "Shift+Tab")
    await keyboard.press("Enter")
    await expect(chat.answers).to_have_count(2)
    await expect(chat.questions.last).to_contain_text("Đăng ký tạm trú")
    source = chat.answers.last.locator("summary").first
    await _tab_to(chat, source, "Tab")
    await keyboard.press("Enter")
    await expect(chat.answers.last.locator("details").first).to_have_attribute("open", "")
    await _tab_to(chat, chat.field, "Tab")
    await keyboard.type("một dòng")
    await keyboard.press("Shift+Enter")
    await keyboard.type("hai dòng")
    await expect(chat.field).to_have_value("một dòng\nhai dòng")


async def _tab_to(chat: Chat, target: Locator, key: str) -> None:
    for _ in range(40):
        if await target.evaluate("element => element === document.activeElement"):
            outline = await target.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline != "none"
            return
        await chat.page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead there")


async def test_a_choice_can_be_typed_as_its_number(chat: Chat) -> None:
    await chat.says(UNSURE)
    first = await chat.log.locator("button.choice").first.get_attribute("data-label")
    await chat.says("1")
    await expect(chat.log.get_by_role("button", name=f"1. {first}")).to_be_visible()
    await expect(chat.answers.last).to_contain_text(str(first))


async def test_new_messages_are_announced_and_history_is_not(chat: Chat) -> None:
    await expect(chat.log).to_have_attribute("aria-live", "polite")
    await expect(chat.log).not_to_have_attribute("aria-busy", "true")
    chat.gateway.nlu.fails = "slow"
    await chat.field.fill(FEE)
    await chat.field.press("Enter")
    await expect(chat.page.locator("#typing[role=status]")).to_have_text(
        "Trợ lý đang soạn câu trả lời"
    )
    chat.gateway.nlu.fails = None
    chat.gateway.nlu.released.set()
    await expect(chat.answers).to_have_count(1)
    await expect(chat.answers.first).to_contain_text("Trợ lý tự động")
    await expect(chat.page.locator("#typing")).to_be_empty()
    await chat.page.add_init_script(FIRST_BUSY)
    await chat.page.reload()
    await expect(chat.answers).to_have_count(1)
    await expect(chat.log).not_to_have_attribute("aria-busy", "true")
    assert await chat.page.evaluate("firstBusy") == "true"


FIRST_BUSY = """addEventListener("DOMContentLoaded", () => {
  const log = document.getElementById("log");
  new MutationObserver(() => { window.firstBusy ??= log.getAttribute("aria-busy") ?? "no"; })
    .observe(log, { childList: true });
});"""


async def test_a_phone_of_360_pixels_never_scrolls_sideways(chat: Chat) -> None:
    await chat.page.set_viewport_size(PHONE)
    assert await _overflow(chat) == 0
    await chat.says(DOCUMENTS)
    await chat.says(GIFT)
    await chat.says("a" * 300)
    await chat.says(UNSURE)
    await chat.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert await _overflow(chat) == 0


async def test_a_case_code_never_breaks_in_two_lines(chat: Chat) -> None:
    code = await chat.files(STORY)
    shown = chat.answers.last.locator(".code")
    await expect(shown).to_have_text(code)
    for width in range(280, 700, 20):
        await chat.page.set_viewport_size({"width": width, "height": 740})
        assert await shown.evaluate("element => element.getClientRects().length") == 1
    assert await _overflow(chat) == 0


async def _overflow(chat: Chat) -> int:
    overflow: int = await chat.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return overflow


async def test_on_a_phone_letters_are_large_and_targets_wide_enough_for_a_thumb(
    chat: Chat,
) -> None:
    await chat.page.set_viewport_size(PHONE)
    await chat.says(DOCUMENTS)
    await chat.says(UNSURE)
    small = await chat.page.evaluate("""() => {
      const seen = [...document.querySelectorAll("a, button, summary, textarea")]
        .filter(element => element.checkVisibility() && !element.matches(".words a, .skip"));
      return seen.map(element => [element.textContent.trim(), element.getBoundingClientRect()])
        .filter(([, box]) => box.height < 43.9 || box.width < 43.9).map(([text]) => text);
    }""")
    assert small == []
    tiny = await chat.page.evaluate("""() => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
      while (walker.nextNode()) {
        const { data, parentElement: box } = walker.currentNode;
        if (data.trim() && box.checkVisibility() && parseFloat(getComputedStyle(box).fontSize) < 16)
          found.push(data.trim());
      }
      return found;
    }""")
    assert tiny == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_words_stand_out_in_light_and_in_dark(chat: Chat, scheme: Any) -> None:
    await chat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await chat.says(DOCUMENTS)
    await chat.says(UNSURE)
    await chat.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    measured = await chat.page.evaluate(CONTRASTS)
    assert len(measured) > 20
    assert [entry for entry in measured if entry["ratio"] < 4.5] == []
    ground = await chat.page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (sum(ground[:3]) < 3 * 128) == (scheme == "dark")


CONTRASTS = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = numbers(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const { data, parentElement: box } = walker.currentNode;
    if (!data.trim() || !box.checkVisibility({ visibilityProperty: true })) continue;
    if (box.closest(".unseen, .skip, script, style, template")) continue;
    const [a, b] = [light(numbers(getComputedStyle(box).color)), light(ground(box))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push({ text: data.trim().slice(0, 40), ratio });
  }
  return found;
}"""


# what goes wrong


async def test_a_failed_send_says_so_and_is_sent_again_once(chat: Chat, gateway: Gateway) -> None:
    other = sqlite3.connect(gateway.store.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await chat.field.fill(FEE)
    await chat.field.press("Enter")
    message = chat.questions.first
    await expect(message).to_have_attribute("data-state", "failed")
    await expect(message).to_contain_text("hệ thống đang bận nên chưa nhận được tin này")
    await expect(chat.page.locator("#announcement[role=status]")).to_contain_text(
        "Chưa gửi được tin nhắn"
    )
    other.close()
    await message.get_by_role("button", name="Gửi lại").click()
    await expect(message).to_have_attribute("data-state", "sent")
    await expect(chat.answers).to_have_count(1)
    await expect(chat.questions).to_have_count(1)
    chat.troubles = [trouble for trouble in chat.troubles if "503" not in trouble]


async def test_a_restart_of_the_gateway_is_told_and_mends_itself(
    chat: Chat, gateway: Gateway
) -> None:
    await chat.says("chào")
    await gateway.stop()
    await chat.field.fill(FEE)
    await chat.field.press("Enter")
    await expect(chat.questions.last).to_have_attribute("data-state", "failed")
    await expect(chat.page.locator("#connection")).to_contain_text("Mất kết nối")
    await gateway.start()
    await expect(chat.answers).to_have_count(2, timeout=10_000)
    await expect(chat.questions.last).to_have_attribute("data-state", "sent")
    await expect(chat.page.locator("#connection")).to_contain_text("Đã kết nối lại")
    assert len(await chat.told()) == 4
    chat.troubles = [trouble for trouble in chat.troubles if "net::ERR_" not in trouble]


async def test_an_unsent_message_survives_a_reload(chat: Chat, context: BrowserContext) -> None:
    await context.set_offline(True)
    await chat.field.fill(FEE)
    await chat.field.press("Enter")
    await expect(chat.questions.first).to_have_attribute("data-state", "failed")
    await expect(chat.page.locator("#connection")).to_contain_text("Mất kết nối")
    await context.set_offline(False)
    await chat.page.reload()
    await expect(chat.questions.first).to_have_attribute("data-state", "sent")
    await expect(chat.answers).to_have_count(1)
    chat.troubles = [trouble for trouble in chat.troubles if "net::ERR_" not in trouble]


async def test_what_people_type_is_shown_and_never_run(chat: Chat) -> None:
    nasty = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    await chat.says(nasty)
    await expect(chat.questions.first.locator(".bubble")).to_have_text(nasty)
    await chat.page.reload()
    await expect(chat.questions.first.locator(".bubble")).to_have_text(nasty)
    assert await chat.page.title() != "run"
    assert await chat.log.locator("img, script").count() == 0


async def test_empty_and_too_long_texts_are_not_sent(chat: Chat) -> None:
    for text in ("", "  \n "):
        await chat.field.fill(text)
        await chat.field.press("Enter")
    await chat.field.fill("ế" * 4012)
    await expect(chat.page.locator("#counter")).to_have_text(
        "Dài quá 12 ký tự, Anh/Chị rút gọn giúp"
    )
    await chat.field.press("Enter")
    await expect(chat.questions).to_have_count(0)
    await chat.field.fill("ế" * 4000)
    await chat.field.press("Enter")
    await expect(chat.answers).to_have_count(1)


async def test_without_scripts_the_page_says_what_to_do(browser: Browser, gateway: Gateway) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(gateway.url)
    heading = page.locator("noscript h2")
    await expect(heading).to_be_visible()
    assert "đang tắt JavaScript" in await heading.inner_text()
    await expect(page.locator("#foot")).to_be_hidden()
    await context.close()
