"""What the desk's page refuses, and what its responses promise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.desk.access import Person, Role
from rlavr_hpc.labels.desk.guard import read_addresses
from rlavr_hpc.labels.desk.reading import visible
from rlavr_hpc.labels.desk.serve import _unix, address_of
from tests.support.desk import ADDRESS, TriedDesk, key_on, place, question

PORTAL = "https://portal.example.org"
SEVEN, NINE = question("What is 3 + 4?"), question("What is 9?")


@pytest.fixture
def desk(tmp_path: Path) -> TriedDesk:
    place(tmp_path / "run", [SEVEN, NINE])
    return TriedDesk(tmp_path)


def written(desk: TriedDesk) -> bool:
    desk.desk.end()
    return bool(desk.final())


@pytest.mark.parametrize("path", ["/", "/owner", "/state", "/static/question.js"])
def test_without_a_cookie_nothing_but_the_page_to_sign_in_is_shown(
    desk: TriedDesk, path: str
) -> None:
    shown = desk.stranger().get(path)
    assert shown.status_code == 401
    assert "What is" not in shown.text


@pytest.mark.parametrize("path", ["/answer", "/undo", "/preview"])
def test_without_a_cookie_nothing_can_be_sent(desk: TriedDesk, path: str) -> None:
    assert desk.stranger().post(path, data={"key": SEVEN.key}).status_code == 401


def test_a_link_works_once_and_a_wrong_one_never(desk: TriedDesk) -> None:
    token = desk.desk.access.make_link(Person(name="ada", role=Role.annotator))
    first, second = desk.stranger(), desk.stranger()
    assert first.post("/in", data={"token": token}).status_code == 303
    for wrong in (token, "", "x" * 43, token[:-1]):
        assert second.post("/in", data={"token": wrong}).status_code == 403
    assert second.get("/").status_code == 401


def test_only_hashes_of_tokens_and_cookies_are_on_disk(desk: TriedDesk) -> None:
    token = desk.desk.access.make_link(Person(name="ada", role=Role.annotator))
    client = desk.stranger()
    reply = client.post("/in", data={"token": token})
    [cookie] = client.cookies.values()
    files = [path for path in desk.top.rglob("*") if path.is_file()]
    text = "".join(path.read_text() for path in files)
    assert token not in text
    assert cookie not in text
    assert hashlib.sha256(cookie.encode()).hexdigest() in text
    assert (desk.top / ".desk").stat().st_mode & 0o777 == 0o700
    set_cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=strict" in set_cookie
    assert "path" not in set_cookie


def test_an_annotator_is_no_owner_and_an_owner_no_annotator(desk: TriedDesk) -> None:
    assert desk.browser("ada").get("/owner").status_code == 401
    owner = desk.browser("owner", Role.owner)
    assert owner.post("/answer", data={"key": SEVEN.key, "answer": "7"}).status_code == 401
    assert owner.get("/").headers["location"] == "owner"


@pytest.mark.parametrize("key", ["", "0" * 32, "../../x", "\0", "other's"])
def test_a_guessed_key_is_refused(desk: TriedDesk, key: str) -> None:
    ada, bob = desk.browser("ada"), desk.browser("bob")
    key_on(ada)
    key = key_on(bob) if key == "other's" else key
    refused = ada.post("/answer", data={"key": key, "answer": "7"})
    assert refused.status_code == 403
    assert ada.post("/preview", data={"key": key, "answer": "7"}).status_code == 403
    assert not written(desk)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a@b"]
)
def test_a_foreign_host_is_refused(desk: TriedDesk, host: str) -> None:
    ada = desk.browser("ada")
    assert ada.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:8888", "[::1]:9", "LOCALHOST"])
def test_this_host_has_any_port_since_tunnels_do(desk: TriedDesk, host: str) -> None:
    assert desk.browser("ada").get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_page_or_without_an_origin_is_refused(
    desk: TriedDesk, headers: dict[str, str]
) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    del ada.headers["origin"]
    refused = ada.post("/answer", data={"key": key, "answer": "7"}, headers=headers)
    assert refused.status_code == 403
    assert not written(desk)


def test_a_browser_that_sends_no_origin_says_same_origin(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    del ada.headers["origin"]
    fetched = {"Sec-Fetch-Site": "same-origin"}
    assert ada.post("/answer", data={"key": key, "answer": "7"}, headers=fetched).is_redirect


def test_a_form_of_ten_megabytes_is_refused(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    huge = {"key": key, "answer": "7" * 10_000_000}
    assert ada.post("/answer", data=huge).status_code == 413
    assert not written(desk)


def test_a_form_of_ten_megabytes_that_does_not_say_so_is_refused(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)

    def dripping() -> Iterator[bytes]:
        yield f"key={key}&answer=".encode()
        for _ in range(10_000):
            yield b"7" * 1_000

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = ada.post("/answer", content=dripping(), headers=kind)
    assert sent.status_code == 413
    assert not written(desk)


def test_other_kinds_of_forms_and_too_many_fields_are_refused(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    files = {"answer": ("a.txt", b"7")}
    assert ada.post("/answer", data={"key": key}, files=files).status_code == 415
    assert ada.post("/answer", json={"key": key, "answer": "7"}).status_code == 415
    many = "&".join(f"f{n}=1" for n in range(100))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ada.post("/answer", content=many, headers=kind).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/static/../desk.py",
        "/static/..%2fdesk.py",
        "/static/%2e%2e/desk.py",
        "/static//etc/passwd",
        "/static/question.html.j2",
        "/static/katex/LICENSE",
        "/static/",
        "/.desk/journal",
        "/answer/",
        "/owner/",
        "/owner/../owner",
    ],
)
def test_no_path_leads_out_of_the_page(desk: TriedDesk, path: str) -> None:
    assert desk.browser("ada").get(path).status_code in (401, 404, 405)
    assert "import" not in desk.browser("bob").get(path).text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(desk: TriedDesk, method: str) -> None:
    assert desk.browser("ada").request(method, "/answer").status_code == 405


@pytest.mark.parametrize("path", ["/", "/in", "/nowhere", "/static/style.css"])
def test_every_response_forbids_scripts_frames_and_guessing(desk: TriedDesk, path: str) -> None:
    headers = desk.browser("ada").get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_pages_hold_no_script_of_their_own(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    owner = desk.browser("owner", Role.owner).get("/owner").text
    for page in (ada.get("/").text, ada.get("/in").text, owner):
        assert page.count("<script") == page.count('<script src="static/')
        assert " on" + "click" not in page
        assert ' style="' not in page


def test_a_hostile_question_is_text(tmp_path: Path) -> None:
    text = "<script>alert(1)</script> \x1b[2J\x07 \u202edrow \ud800 {{ 7*7 }}"
    place(
        tmp_path / "run", [question(text, clusters=("<img src=x onerror=alert(1)>", "\x1b]8;;x"))]
    )
    page = TriedDesk(tmp_path).browser("ada").get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "[U+001B][2J[U+0007] [U+202E]drow [U+D800] {{ 7*7 }}" in page


def test_joined_signs_and_wide_spaces_stay_readable() -> None:
    assert visible("a\u00a0b\u2003c\td\r\ne\u200df") == "a b c\td\ne\u200df"
    assert visible("x" * 100_003).endswith("x\n[3 characters more]")


@pytest.mark.parametrize(
    ("origin", "prefix", "kept"),
    [
        (PORTAL, "/node/n12/8123/", True),
        (f"{PORTAL}/node/n12/8123", "/node/n12/8123", True),
        (PORTAL, "/node/n12/8123", False),
        (f"{PORTAL}/rnode/n12/8123", "", False),
    ],
)
def test_a_portal_reaches_the_page_whether_it_keeps_its_prefix_or_drops_it(
    tmp_path: Path, origin: str, prefix: str, kept: bool
) -> None:
    place(tmp_path / "run", [SEVEN])
    addresses = read_addresses([origin], prefix, ["n12"])
    desk = TriedDesk(tmp_path, addresses=addresses)
    client = TestClient(desk.app, base_url="http://n12:8123", follow_redirects=False)
    client.headers["Origin"] = PORTAL
    at = "/node/n12/8123" if kept else ""
    token = desk.desk.access.make_link(Person(name="ada", role=Role.annotator))
    signed = client.post(f"{at}/in", data={"token": token})
    page = client.get(f"{at}/")
    assert (signed.status_code, signed.headers["location"]) == (303, "./")
    assert "secure" in signed.headers["set-cookie"].lower()
    client.cookies.set(*signed.headers["set-cookie"].split(";")[0].split("=", 1))
    page = client.get(f"{at}/")
    assert SEVEN.key in page.text
    assert 'action="answer"' in page.text
    sent = client.post(f"{at}/answer", data={"key": SEVEN.key, "answer": "7"})
    assert sent.headers["location"] == "./"
    if prefix:
        assert client.get("/node/n12/8123").headers["location"] == "8123/"
    client.headers["Origin"] = "https://other.example.org"
    assert client.post(f"{at}/undo", data={"sure": "yes"}).status_code == 403


def test_links_begin_where_browsers_reach_the_page() -> None:
    assert address_of(DeskConfig(), 8123) == f"{ADDRESS}/"
    path = "/node/n12/8123"
    for origin, prefix in ((PORTAL, path), (PORTAL + path, ""), (PORTAL + path, path)):
        portal = DeskConfig(origins=[origin], prefix=prefix)
        assert address_of(portal, 8123) == f"{PORTAL}{path}/"
    assert read_addresses([PORTAL + path], path).origins == {PORTAL}
    with pytest.raises(ValueError, match="use https://NAME"):
        read_addresses(["portal.example.org"], "")


def test_a_socket_is_closed_to_others_and_lies_in_a_folder_that_is(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    with _unix(folder / "s"):
        assert (folder / "s").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
    with _unix(folder / "s"):  # what a killed desk has left is replaced
        pass
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    with pytest.raises(UserError, match="closed to others"):
        _unix(shared / "s")
    (folder / "file").write_text("mine")
    with pytest.raises(UserError, match="is no socket"):
        _unix(folder / "file")
    with pytest.raises(UserError, match="longer than 107 bytes"):
        _unix(folder / ("s" * 100))
