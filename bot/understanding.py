"""Asks nlu over HTTP what a text means, and joins its ranking with what is found by name."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from actions.action import Found, Understanding
from actions.cases import CaseKind, codes_in
from actions.find import Finder
from actions.knowledge.model import Facet
from actions.knowledge.reading import read_one
from nlu.text import clean, fold, normalize

_CONNECTIONS = 8
_LONGEST = 2000


class NluUnavailable(Exception):  # noqa: N818 - a fact, not a failure
    """nlu does not answer in time, or not with what was agreed."""


class _Scored(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    confidence: float


class _Topic(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    kind: str
    confidence: float


class _Entity(BaseModel):
    model_config = ConfigDict(extra="ignore")

    entity: str
    value: str
    start: int = 0
    end: int = 0


class Parse(BaseModel):
    """What nlu gives back for one text (nlu/README.md)."""

    model_config = ConfigDict(extra="ignore")

    normalized: str
    intent: _Scored
    intent_ranking: tuple[_Scored, ...] = ()
    asked: tuple[Facet, ...] = ()
    kinds: Mapping[CaseKind, float] = {}
    topics: tuple[_Topic, ...] = ()
    entities: tuple[_Entity, ...] = ()


class _Shorthand(RootModel[Mapping[str, str]]):
    pass


def load_shorthand(path: Path) -> Mapping[str, str]:
    """Teencode and abbreviations of `data/vocabulary/teencode.yml`; raises BadData."""
    return read_one(path, _Shorthand).root


class Nlu:
    """A small pool of connections to nlu, with a time limit on every question."""

    def __init__(self, url: str, token_file: Path, timeout: float) -> None:
        self.url = url
        self._token_file = token_file
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self.url,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def parse(self, text: str) -> Parse:
        """What nlu makes of a text; raises NluUnavailable."""
        try:
            return Parse.model_validate_json(await self._post(text))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NluUnavailable(type(error).__name__) from error
        except ValidationError as error:
            raise NluUnavailable(f"answered otherwise than agreed: {error}") from error

    async def _post(self, text: str) -> bytes:
        assert self._session is not None, "enter the client first"
        token = self._token_file.read_text().strip()
        async with self._session.post(
            "/model/parse", params={"token": token}, json={"text": text}
        ) as response:
            response.raise_for_status()
            return await response.read()

    async def ready(self) -> bool:
        """Whether nlu answers and has a model."""
        assert self._session is not None, "enter the client first"
        try:
            token = self._token_file.read_text().strip()
            async with self._session.get("/status", params={"token": token}) as response:
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


class Ear:
    """Understands a text: nlu where it is up, the finder always."""

    def __init__(self, nlu: Nlu, finder: Finder, shorthand: Mapping[str, str]) -> None:
        self._nlu = nlu
        self._finder = finder
        self._shorthand = shorthand

    async def understand(self, text: str) -> Understanding:
        """What a text means; with nlu down only what is found by name."""
        visible = clean(text)[:_LONGEST]
        if not fold(visible):
            return Understanding(text, "", intent="gibberish", confidence=1.0)
        try:
            parse = await self._nlu.parse(visible)
        except NluUnavailable:
            return self.by_name_only(text)
        return self.joined(text, parse)

    def by_name_only(self, text: str) -> Understanding:
        """Likely topics by name alone."""
        normalized = normalize(clean(text)[:_LONGEST], self._shorthand)
        return Understanding(
            text,
            normalized,
            procedures=tuple(self._finder.find(normalized, "procedure", {})),
            situations=tuple(self._finder.find(normalized, "situation", {})),
            entities={"case_code": codes} if (codes := codes_in(text)) else {},
        )

    def joined(self, text: str, parse: Parse) -> Understanding:
        """What nlu gave back, joined with what is found by name."""
        learned = {topic.id: topic.confidence for topic in parse.topics}
        entities: dict[str, tuple[str, ...]] = {}
        for entity in parse.entities:
            entities[entity.entity] = (*entities.get(entity.entity, ()), entity.value)
        return Understanding(
            text=text,
            normalized=parse.normalized,
            intent=parse.intent.name,
            confidence=parse.intent.confidence,
            intents={scored.name: scored.confidence for scored in parse.intent_ranking},
            facets=parse.asked,
            kinds=parse.kinds,
            procedures=self._procedures(parse.normalized, learned, entities),
            situations=tuple(self._finder.find(parse.normalized, "situation", learned)),
            entities=entities,
        )

    def _procedures(
        self, text: str, learned: Mapping[str, float], entities: Mapping[str, tuple[str, ...]]
    ) -> tuple[Found, ...]:
        found = self._finder.find(text, "procedure", learned)
        coded = [self._finder.by_code(code) for code in entities.get("procedure_code", ())]
        return tuple([by_code for by_code in coded if by_code] + found)
