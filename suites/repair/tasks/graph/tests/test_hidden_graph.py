from graph import Graph
from routes import reachable, shortest_path, topological_order

GRID = [((row, column), (row, column + 1)) for row in range(4) for column in range(3)]
GRID += [((row, column), (row + 1, column)) for row in range(3) for column in range(4)]


def test_backwards_twice():
    graph = Graph([(1, 2), (2, 3), (1, 3)])
    assert graph.backwards().neighbors == {1: [], 2: [1], 3: [1, 2]}
    assert graph.backwards().backwards().neighbors == graph.neighbors


def test_reachable_in_a_circle():
    graph = Graph([(1, 2), (2, 3), (3, 1), (4, 4)])
    assert reachable(graph, 2) == {1, 2, 3}
    assert reachable(graph, 4) == {4}


def test_path_through_a_grid():
    path = shortest_path(Graph(GRID), (0, 0), (3, 3))
    assert len(path) == 7
    assert path[0] == (0, 0) and path[-1] == (3, 3)
    assert all(pair in GRID for pair in zip(path, path[1:]))


def test_path_to_itself():
    assert shortest_path(Graph([(1, 2)]), 1, 1) == [1]
    assert shortest_path(Graph([(1, 2)]), 1, 2) == [1, 2]


def test_order_of_a_grid():
    order = topological_order(Graph(GRID))
    assert len(order) == 16
    assert all(order.index(source) < order.index(target) for source, target in GRID)


def test_order_of_single_nodes():
    graph = Graph()
    assert topological_order(graph) == []
    graph.add_node("a")
    assert topological_order(graph) == ["a"]


def test_cycle_behind_a_start():
    try:
        topological_order(Graph([(0, 1), (1, 2), (2, 1)]))
    except ValueError:
        return
    assert False, "a cycle was put in order"
