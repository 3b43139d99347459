from table.query import longest, select
from table.reader import read_table, split_line
from table.writer import format_line, write_table


def test_empty_fields():
    assert split_line(",x,") == ["", "x", ""]
    assert split_line("") == [""]


def test_quoted_fields():
    assert split_line('1,"Smith, Ann",3') == ["1", "Smith, Ann", "3"]


def test_every_line_is_read():
    text = "n\n" + "\n".join(str(number) for number in range(6))
    assert [row["n"] for row in read_table(text)] == ["0", "1", "2", "3", "4", "5"]


def test_nothing_to_read():
    assert read_table("") == []
    assert read_table("a,b\n") == []
    assert read_table("\n\n") == []


def test_uneven_lines_are_refused():
    try:
        read_table("a,b\n1,2\n1,2,3\n")
    except ValueError:
        return
    assert False, "a line with three fields was accepted"


def test_written_tables_can_be_read():
    rows = [{"name": "Ann, B.", "age": "3"}, {"name": "C", "age": "44"}, {"name": "D", "age": ""}]
    assert read_table(write_table(rows)) == rows


def test_longest_of_each_position():
    for position in range(4):
        rows = [{"word": "xx", "at": index} for index in range(4)]
        rows[position]["word"] = "longer"
        assert longest(rows, "word") is rows[position]
    assert longest([], "word") is None


def test_format_and_select():
    assert write_table([], ";") == ""
    assert format_line([1, "a;b", 2.5], ";") == '1;"a;b";2.5'
    assert select([{"a": 1}, {"a": 2}, {"a": 1}], "a", 1) == [{"a": 1}, {"a": 1}]
