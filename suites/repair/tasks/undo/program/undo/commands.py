"""Changes of a text that can be taken back."""


class Insert:
    def __init__(self, position, text):
        self.position = position
        self.text = text
        self.label = f"insert {text}"

    def apply(self, document):
        return document[: self.position] + self.text + document[self.position :]

    def revert(self, document):
        end = self.position + len(self.text)
        return document[: self.position] + document[end:]


class Delete:
    def __init__(self, position, length):
        self.position = position
        self.length = length
        self.removed = ""
        self.label = f"delete {length}"

    def apply(self, document):
        end = self.position + self.length
        self.removed = document[self.position : end]
        return document[: self.position] + document[end:]

    def revert(self, document):
        return document[: self.position] + self.removed + document[self.position :]


class Group:
    """Several changes that count as one."""

    def __init__(self, label, commands):
        self.label = label
        self.commands = list(commands)

    def apply(self, document):
        for command in self.commands:
            document = command.apply(document)
        return document

    def revert(self, document):
        for command in reversed(self.commands):
            document = command.revert(document)
        return document
