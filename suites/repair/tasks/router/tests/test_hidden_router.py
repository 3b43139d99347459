from router.links import make_link, open_link, parse_query
from router.paths import fill, match, split
from router.table import NotFound, Router


def forum():
    router = Router()
    router.add("new", "/topics/new")
    router.add("topic", "/topics/:topic")
    router.add("post", "/topics/:topic/posts/:post")
    router.add("write", "/topics/:topic/posts", "POST")
    return router


def unknown(function, *args):
    try:
        function(*args)
    except NotFound:
        return True
    return False


def test_slashes():
    assert split("//a/b/") == ["a", "b"]
    assert match("/a/b", "a/b/") == {}
    assert match("/", "") == {}


def test_lengths():
    assert match("/a/:b", "/a/1/2") is None
    assert match("/a/:b", "/a") is None
    assert match("/", "/a") is None


def test_two_parameters():
    assert match("/:year/:month", "/2024/05") == {"year": "2024", "month": "05"}
    assert match("/:year/may", "/2024/june") is None


def test_fill():
    assert fill("/:a/x/:b", {"a": 1, "b": "two"}) == "/1/x/two"
    assert fill("/", {}) == "/"


def test_query():
    assert parse_query("") == {}
    assert parse_query("a=1&debug&a=2&&next=/b?c=d") == {"a": ["1", "2"], "debug": [""], "next": ["/b?c=d"]}


def test_resolve():
    router = forum()
    assert router.resolve("GET", "/topics/new") == ("new", {})
    assert router.resolve("POST", "/topics/9/posts")[0] == "write"
    assert unknown(router.resolve, "GET", "/topics/9/posts")
    assert unknown(router.resolve, "GET", "/users")


def test_make_link():
    assert make_link(forum(), "post", {"topic": "x", "post": 3}) == "/topics/x/posts/3"
    assert make_link(forum(), "new", {}, "draft=1") == "/topics/new?draft=1"
    assert unknown(make_link, forum(), "old", {})


def test_open_link():
    assert open_link(forum(), "/topics/4?page=2") == ("topic", {"topic": "4"}, {"page": ["2"]})
