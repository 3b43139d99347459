"""What rules are made of: predicates over the transcript, and actions. Each is general and small."""


# Predicates


def always(run):  # noqa: ARG001 - every predicate takes the run
    """True at every time."""
    return True


def every(run, n):
    """True at every n-th edit."""
    return len(run.edits) % n == 0


def after(run, n):
    """True once n edits have been made."""
    return len(run.edits) >= n


def repeated(run, n):
    """The latest edit had been asked for n times or more before."""
    return sum(edit.same == run.edit.same for edit in run.edits[:-1]) >= n if run.edit else False


def same_line(run, n):
    """The line of the latest edit had been edited n times or more before."""
    if run.edit is None:
        return False
    place = (run.edit.path, run.edit.line)
    return sum((edit.path, edit.line) == place for edit in run.edits[:-1]) >= n


def useless_in_a_row(run, n):
    """The last n edits changed nothing about the tests."""
    return len(run.edits) >= n and all(edit.effect == "useless" for edit in run.edits[-n:])


def few_failing(run, n):
    """At most n tests fail."""
    return run.report is not None and len(run.failing(run.report)) <= n


def fixed_some(run, n):
    """The latest edit made at least n failing tests pass."""
    return run.edit is not None and len(run.edit.fixed) >= n


def broke_some(run, n):
    """The latest edit made at least n passing tests fail."""
    return run.edit is not None and len(run.edit.broken) >= n


def off_trace(run):
    """The latest edit is on a line that no failing test runs."""
    return run.edit is not None and run.edit.line not in covered(run).get(run.edit.path, ())


def stands_elsewhere(run):
    """The text that the latest edit replaced stands in another place, too."""
    return bool(places(run))


def longer(run):
    """The latest edit makes the program longer."""
    return run.edit is not None and len(run.edit.new) > len(run.edit.old)


def several_files(run):
    """There is more than one file that may be changed."""
    return len(run.task.solution_files) > 1


# Actions


def tell(run, text):
    """Say something to the model."""
    run.note(text)


def discard(run):
    """Do not try the edit: no test run is spent on it."""
    if run.edit is not None:
        run.edit.discarded = True


def keep(run):
    """Let the edit stand instead of undoing it."""
    if run.edit is not None:
        run.edit.keep = True


def show_errors(run):
    """Show what the failing tests raised."""
    for outcome in _failed(run):
        run.note(f"FAILED {outcome['id']}: {outcome.get('error', '')}")


def show_traces(run):
    """Show where the failing tests raised it."""
    for outcome in _failed(run):
        for path, line, function in outcome.get("trace", ()):
            if path in run.task.solution_files:
                run.note(f'  File "{path}", line {line}, in {function}')


def show_lines(run):
    """Show which lines the failing tests ran."""
    for path, lines in sorted(covered(run).items()):
        run.note(f"covered: {path}:{spans(lines)}")


def show_places(run):
    """Point at other places where the text stands that the latest edit replaced."""
    for path, line in places(run):
        run.note(f"see {path}:{line}")


def show_files(run):
    """Show the program again as it stands."""
    for path in run.task.solution_files:
        run.note(run.shown(path))


def scale(run, parameter, factor):
    """Multiply a decoding parameter, for the rest of the episode."""
    value = run.decoding[parameter] * factor
    run.decoding[parameter] = (
        min(2.0, max(0.05, value)) if parameter == "temperature" else min(1.0, max(0.05, value))
    )


def shift(run, parameter, amount):
    """Add to a decoding parameter, for the rest of the episode."""
    run.decoding[parameter] = min(2.0, max(-2.0, run.decoding[parameter] + amount))


def forget(run, n):
    """Drop all but the first two and the last n messages."""
    keep_from = max(2, len(run.messages) - n)
    while keep_from < len(run.messages) and run.messages[keep_from]["role"] == "tool":
        keep_from += 1  # an answer cannot stand without its question
    run.messages[2:keep_from] = []


def stop(run):
    """End the episode."""
    run.done = True


# Helpers


def _failed(run):
    report = run.edit.report if run.edit is not None and run.edit.report else run.report
    return [o for o in report["outcomes"] if not o["passed"]] if report and report["status"] == "ok" else []


def covered(run):
    """Lines of the program that the failing tests ran: path → set."""
    lines = {}
    for outcome in _failed(run):
        for path, numbers in outcome.get("lines", {}).items():
            if path in run.task.solution_files:
                lines.setdefault(path, set()).update(numbers)
    return lines


def places(run):
    """Other lines that read like the one that the latest edit replaced."""
    if run.edit is None or not run.edit.old.strip():
        return []
    wanted = run.edit.old.strip().split("\n")[0].strip()
    found = []
    for path in run.task.solution_files:
        for number, text in enumerate(run.workspace.read(path).split("\n"), 1):
            if text.strip() == wanted and (path, number) != (run.edit.path, run.edit.line):
                found.append((path, number))
    return found[:8]


def spans(numbers):
    """Line numbers as spans: 3-5,9."""
    parts = []
    ordered = sorted(numbers)
    start = previous = None
    for number in [*ordered, None]:
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if previous is not None:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = number
    return ",".join(parts)
