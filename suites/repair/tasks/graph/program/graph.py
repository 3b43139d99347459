"""Directed graphs."""


class Graph:
    def __init__(self, edges=()):
        self.neighbors = {}
        for source, target in edges:
            self.add_edge(source, target)

    def add_node(self, node):
        self.neighbors.setdefault(node, [])

    def add_edge(self, source, target):
        self.add_node(source)
        self.add_node(target)
        self.neighbors[source].append(target)

    def nodes(self):
        return list(self.neighbors)

    def backwards(self):
        """Return a graph with all edges turned around."""
        result = Graph()
        for node in self.neighbors:
            result.add_node(node)
        for source, targets in self.neighbors.items():
            for target in targets:
                result.add_edge(target, source)
        return result
