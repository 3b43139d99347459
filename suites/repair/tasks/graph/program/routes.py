"""Ways through a graph."""

from collections import deque


def reachable(graph, start):
    """Return all nodes that can be reached, the start included."""
    seen = {start}
    stack = [start]
    while stack:
        node = stack.pop()
        for neighbor in graph.neighbors[node]:
            if neighbor not in seen:
                seen.add(neighbor)
                stack.append(neighbor)
    return seen


def shortest_path(graph, start, goal):
    """Return the nodes from start to goal with the fewest edges, or None."""
    previous = {start: None}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        if node == goal:
            return walk_back(previous, goal)
        for neighbor in graph.neighbors[node]:
            if neighbor not in previous:
                previous[neighbor] = node
                queue.append(neighbor)
    return None


def walk_back(previous, goal):
    path = []
    node = goal
    while node is not None:
        path.append(node)
        node = previous[node]
    path.reverse()
    return path


def topological_order(graph):
    """Return the nodes so that every edge points forward."""
    incoming = {node: 0 for node in graph.nodes()}
    for targets in graph.neighbors.values():
        for target in targets:
            incoming[target] += 1
    ready = [node for node in incoming if incoming[node] == 0]
    order = []
    while ready:
        node = ready.pop()
        order.append(node)
        for neighbor in graph.neighbors[node]:
            incoming[neighbor] -= 1
            if incoming[neighbor] == 0:
                ready.append(neighbor)
    if len(order) < len(incoming):
        raise ValueError("the graph has a cycle")
    return order
