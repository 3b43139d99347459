from inventory.orders import Order, missing, refill
from inventory.stock import Item, OutOfStock, Stock


def make_stock(*entries):
    stock = Stock()
    for entry in entries:
        stock.add(*entry)
    return stock


def test_take_one_by_one():
    stock = make_stock(("pin", 1, 3))
    for left in (2, 1, 0):
        stock.take("pin", 1)
        assert stock.items["pin"].quantity == left


def test_a_refused_take_changes_nothing():
    stock = make_stock(("pin", 1, 3))
    try:
        stock.take("pin", 4)
    except OutOfStock as error:
        assert str(error) == "pin"
    else:
        assert False, "more was taken than there was"
    assert stock.items["pin"].quantity == 3


def test_all_of_an_item_can_be_ordered():
    stock = make_stock(("pin", 1, 3), ("cap", 4, 1), ("rod", 9, 0))
    order = Order("Bob")
    order.add("pin", 3)
    order.add("cap")
    assert missing(order, stock) == []
    order.add("rod")
    assert missing(order, stock) == ["rod"]


def test_values():
    assert Item("pin", 3, quantity=4, minimum=9).value() == 12
    assert Item("pin", 3).value() == 0
    assert make_stock(("pin", 1, 3, 7), ("cap", 4, 5)).value() == 23


def test_an_empty_warehouse():
    assert Stock().value() == 0
    assert Stock().low() == []


def test_low_and_refill():
    stock = make_stock(("pin", 1, 3, 3), ("cap", 4, 5, 6), ("axe", 9, 0, 2))
    assert stock.low() == ["axe", "cap"]
    assert refill(stock) == {"axe": 4, "cap": 7}


def test_put():
    stock = make_stock(("pin", 1, 3, 5))
    stock.put("pin", 2)
    assert stock.low() == []
    assert stock.items["pin"].quantity == 5


def test_order_lines_add_up():
    stock = make_stock(("pin", 2, 3), ("cap", 7, 1))
    order = Order("Bob")
    order.add("pin", 2)
    order.add("pin")
    order.add("cap", 2)
    assert order.lines == {"pin": 3, "cap": 2}
    assert order.total(stock) == 20
