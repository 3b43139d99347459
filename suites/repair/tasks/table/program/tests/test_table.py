from table.query import column, longest, select
from table.reader import read_table, split_line
from table.writer import write_table

ROWS = [{"name": "Ada", "city": "London"}, {"name": "Linus", "city": "Helsinki"}]


def test_split_a_line():
    assert split_line("a,b,c") == ["a", "b", "c"]


def test_a_single_field():
    assert split_line("alone") == ["alone"]


def test_read():
    text = "name;born\nAda;1815\nAlan;1912\n"
    assert column(read_table(text, ";"), "born") == ["1815", "1912"]
    assert read_table("") == []


def test_write():
    assert write_table(ROWS) == "name,city\nAda,London\nLinus,Helsinki\n"
    assert write_table([]) == ""


def test_select():
    assert select(ROWS, "name", "Linus") == [ROWS[1]]


def test_longest():
    assert longest(ROWS, "city") == ROWS[1]
