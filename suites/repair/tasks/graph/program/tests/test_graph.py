from graph import Graph
from routes import reachable, shortest_path, topological_order


def test_neighbors():
    graph = Graph([("a", "b"), ("a", "c")])
    assert graph.neighbors["a"] == ["b", "c"]
    assert graph.nodes() == ["a", "b", "c"]


def test_backwards():
    assert Graph([("a", "b")]).backwards().neighbors == {"a": [], "b": ["a"]}


def test_reachable():
    graph = Graph([(1, 2), (2, 3), (4, 1)])
    assert reachable(graph, 1) == {1, 2, 3}


def test_shortest_path():
    graph = Graph([("a", "b"), ("b", "c"), ("c", "d"), ("a", "x"), ("x", "d")])
    assert shortest_path(graph, "a", "d") == ["a", "x", "d"]


def test_no_path():
    assert shortest_path(Graph([("a", "b")]), "b", "a") is None


def test_order():
    graph = Graph([("shirt", "tie"), ("tie", "jacket")])
    assert topological_order(graph) == ["shirt", "tie", "jacket"]


def test_cycle():
    try:
        topological_order(Graph([(1, 2), (2, 1)]))
    except ValueError:
        return
    assert False, "a cycle was put in order"
