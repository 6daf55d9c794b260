"""What is sent again, when, and what comes of it, without a node."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Tuple, Union

import httpx
import pytest
import tonbo_artifacts as sdk
from tonbo_artifacts import Artifacts, AsyncArtifacts
from tonbo_artifacts._event_stream import EventParser, StreamEvent
from tonbo_artifacts._retry import is_transient, pause, retry_after

Answer = Union[Exception, Tuple[Any, ...]]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tonbo_artifacts._sync.transport.time.sleep", lambda length: None)


def scripted(answers: List[Answer], **options: Any) -> Tuple[Artifacts, List[httpx.Request]]:
    """A client whose answers are scripted: each a status, a body and headers, or an error to raise."""
    requests: List[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        status, body, headers = (*given, {}, {})[:3]
        return httpx.Response(status, json=body, headers=headers)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Artifacts("tbo_test", "http://node.invalid/", http_client=http, **options), requests


def refusal(code: str) -> Dict[str, str]:
    return {"code": code, "message": f"it is {code}", "hint": "do this", "request_id": "req_1"}


def network() -> Exception:
    return httpx.ConnectError("connection refused")


def test_all_tries_of_one_call_bear_one_idempotency_key_and_another_call_another() -> None:
    client, requests = scripted([network(), (503, refusal("unavailable")), (201, {"slug": "a"}), (201, {"slug": "b"})])
    assert client.platform.create_tenant("a") == {"slug": "a"}
    client.platform.create_tenant("b")
    first, second, third, other = (request.headers["idempotency-key"] for request in requests)
    assert first == second == third != other


def test_the_callers_own_idempotency_key_is_used() -> None:
    client, requests = scripted([(201,)])
    client.platform.create_tenant("a", idempotency_key="mine")
    assert requests[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (404, "tenant_not_found"), (409, "tenant_exists"), (422, "invalid_request"), (500, "internal")],
)
def test_what_would_fail_again_is_not_sent_again(status: int, code: str) -> None:
    client, requests = scripted([(status, refusal(code))])
    with pytest.raises(sdk.ERRORS_BY_CODE[code]) as caught:
        client.platform.get_tenant("a")
    error = caught.value
    assert (error.code, error.status, error.hint, error.request_id) == (code, status, "do this", "req_1")
    assert len(requests) == 1


def test_retries_end() -> None:
    client, requests = scripted([network(), network(), network()], retries=2)
    with pytest.raises(sdk.ApiConnectionError, match="connection refused"):
        client.platform.get_tenant("a")
    assert len(requests) == 3


def test_an_unknown_code_or_an_answer_that_is_none_of_a_node_is_an_error_all_the_same() -> None:
    client, _ = scripted([(409, refusal("newer")), (418, "teapot", {"x-request-id": "req_2"}), (302, {}, {"location": "http://x"})])
    for code, request_id in [("newer", "req_1"), ("http_418", "req_2"), ("http_302", None)]:
        with pytest.raises(sdk.ApiError) as caught:
            client.platform.get_tenant("a")
        assert (type(caught.value), caught.value.code, caught.value.request_id) == (sdk.ApiError, code, request_id)


def test_a_delete_that_may_have_been_done_says_so_when_it_finds_nothing() -> None:
    client, _ = scripted([network(), (404, refusal("grant_not_found"))])
    with pytest.raises(sdk.GrantNotFoundError) as caught:
        client.platform.revoke_access_grant("grt_1")
    assert "may have done it" in str(caught.value.hint)


def test_a_timeout_has_an_error_of_its_own() -> None:
    client, _ = scripted([httpx.ReadTimeout("slow")], retries=0)
    with pytest.raises(sdk.ApiTimeoutError):
        client.whoami()


def test_pauses_grow_spread_and_are_as_long_as_the_node_asks() -> None:
    def error(status: int, after: Any = None) -> sdk.ApiError:
        return sdk.ApiError(code="x", message="x", status=status, retry_after=after)

    assert pause(error(503), 1, 0) == 0.125
    assert pause(error(503), 1, 1) == 0.25
    assert pause(error(503), 3, 1) == 1
    assert pause(error(503), 30, 1) == 8
    assert pause(error(429, 2.0), 1, 0) == 2
    assert (pause(error(429, 2.0), 1, 1) or 0) > 2
    assert pause(error(503, 61.0), 1, 0) is None
    assert pause(error(500), 1, 0) is None
    assert is_transient(sdk.ApiTimeoutError()) and not is_transient(ValueError())
    assert retry_after("3", 0) == 3
    assert retry_after("Thu, 01 Jan 1970 00:00:05 GMT", 1) == 4
    assert retry_after("Thu, 01 Jan 1970 00:00:05 GMT", 9) == 0
    assert retry_after("soon", 0) is None
    assert retry_after(None, 0) is None


def test_lists_go_on_over_empty_pages() -> None:
    pages: List[Answer] = [
        (200, {"items": [{"slug": "a"}], "next_cursor": "x"}),
        (200, {"items": [], "next_cursor": "y"}),
        (200, {"items": [{"slug": "b"}], "next_cursor": None}),
    ]
    client, requests = scripted(pages)
    assert [tenant["slug"] for tenant in client.platform.list_tenants(limit=1)] == ["a", "b"]
    assert [request.url.query for request in requests] == [b"limit=1", b"limit=1&cursor=x", b"limit=1&cursor=y"]


def test_a_bare_name_is_one_of_the_own_whose_handle_is_asked_for_once() -> None:
    client, requests = scripted([(200, {"account": {"handle": "acme"}}), (200,), (200,)])
    client.workspaces.get("task-1")
    client.workspaces.get("task-2")
    paths = [request.url.path for request in requests]
    assert paths == ["/v1/whoami", "/v1/workspaces/acme/task-1", "/v1/workspaces/acme/task-2"]


@pytest.mark.parametrize("name", ["", "a/b/c", "/", "a/", ".."])
def test_what_names_nothing_is_refused_before_it_is_sent(name: str) -> None:
    client, requests = scripted([(200, {"account": {"handle": "acme"}})])
    with pytest.raises(sdk.ConfigurationError):
        client.workspaces.get(name)
    assert len(requests) <= 1


def test_settings_come_from_the_arguments_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONBO_API_KEY", raising=False)
    with pytest.raises(sdk.ConfigurationError, match="TONBO_API_KEY"):
        Artifacts()
    monkeypatch.setenv("TONBO_API_KEY", "tbo_env\n")
    monkeypatch.setenv("TONBO_API_URL", "http://env.invalid/")
    seen: List[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    for client in (
        Artifacts(http_client=httpx.Client(transport=httpx.MockTransport(answer))),
        Artifacts("tbo_given", "https://given.invalid", http_client=httpx.Client(transport=httpx.MockTransport(answer))),
    ):
        client.whoami()
    asked = [(str(request.url), request.headers["authorization"]) for request in seen]
    assert asked == [
        ("http://env.invalid/v1/whoami", "Bearer tbo_env"),
        ("https://given.invalid/v1/whoami", "Bearer tbo_given"),
    ]
    wrong: List[Dict[str, Any]] = [{"api_key": "a b"}, {"base_url": "nowhere"}, {"base_url": "ftp://x"}, {"timeout": 0}, {"retries": -1}]
    for options in wrong:
        with pytest.raises(sdk.ConfigurationError):
            Artifacts(**options)


def test_the_other_client_tries_again_too() -> None:
    answers = [httpx.Response(503, json=refusal("unavailable")), httpx.Response(200, json={"key_id": "key_1"})]

    async def main() -> None:
        transport = httpx.MockTransport(lambda request: answers.pop(0))
        async with AsyncArtifacts("tbo_test", http_client=httpx.AsyncClient(transport=transport)) as client:
            assert (await client.whoami())["key_id"] == "key_1"

    asyncio.run(main())


@pytest.mark.parametrize("size", [1, 2, 7, 200])
def test_events_are_put_together_from_pieces(size: int) -> None:
    text = b": hello\n\nevent: ready\r\nid: 3\r\ndata: one\ndata: two\n\ndata:\xc3\xa9\n\nid: 4\n\n"
    parser = EventParser()
    events = [event for at in range(0, len(text), size) for event in parser.push(text[at : at + size])]
    assert events == [StreamEvent("ready", "3", "one\ntwo"), StreamEvent("message", "3", "é")]
