"""A document together with what was done to it."""


class History:
    def __init__(self, document=""):
        self.document = document
        self.done = []
        self.undone = []

    def execute(self, command):
        """Carry out a new command; what was undone before is forgotten."""
        self.document = command.apply(self.document)
        self.done.append(command)
        self.undone.clear()

    def undo(self):
        """Take back the last command and tell whether there was one."""
        if not self.done:
            return False
        command = self.done.pop()
        self.document = command.revert(self.document)
        self.undone.append(command)
        return True

    def redo(self):
        """Repeat the command that was undone last and tell whether there was one."""
        if not self.undone:
            return False
        command = self.undone.pop()
        self.document = command.apply(self.document)
        self.done.append(command)
        return True

    def labels(self):
        """Return what can be undone, the latest command first."""
        return [command.label for command in reversed(self.done)]
