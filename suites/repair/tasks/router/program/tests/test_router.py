from router.links import make_link, open_link, parse_query
from router.paths import fill, match
from router.table import NotFound, Router


def shop():
    router = Router()
    router.add("start", "/")
    router.add("item", "/items/:id")
    router.add("remove", "/items/:id", "DELETE")
    return router


def test_match():
    assert match("/users/:name", "/users/ann") == {"name": "ann"}
    assert match("/users/:name", "/groups/ann") is None


def test_longer_path():
    assert match("/about", "/about/team") is None


def test_fill():
    assert fill("/users/:name/posts", {"name": "ann"}) == "/users/ann/posts"


def test_query():
    assert parse_query("color=red&sum=1+1=2") == {"color": ["red"], "sum": ["1+1=2"]}


def test_open_start():
    assert open_link(shop(), "/") == ("start", {}, {})


def test_methods():
    router = shop()
    assert router.resolve("GET", "/items/7")[0] == "item"
    assert router.resolve("DELETE", "/items/7")[0] == "remove"
    try:
        router.resolve("POST", "/items/7")
    except NotFound:
        return
    assert False, "a method without a route was accepted"


def test_make_link():
    assert make_link(shop(), "item", {"id": 7}) == "/items/7"
