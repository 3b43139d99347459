from inventory.orders import Order, missing, refill
from inventory.stock import OutOfStock, Stock


def make_stock():
    stock = Stock()
    stock.add("bolt", 2, quantity=40, minimum=50)
    stock.add("gear", 15, quantity=6, minimum=5)
    return stock


def test_take_some():
    stock = make_stock()
    stock.take("bolt", 15)
    assert stock.items["bolt"].quantity == 25


def test_take_the_last():
    stock = make_stock()
    stock.take("gear", 6)
    assert stock.items["gear"].quantity == 0


def test_take_too_much():
    try:
        make_stock().take("gear", 7)
    except OutOfStock:
        return
    assert False, "more was taken than there was"


def test_value():
    assert make_stock().value() == 170


def test_low():
    assert make_stock().low() == ["bolt"]
    assert refill(make_stock()) == {"bolt": 60}


def test_order_total():
    order = Order("Ann")
    order.add("bolt", 10)
    order.add("gear")
    assert order.total(make_stock()) == 35


def test_missing():
    order = Order("Ann")
    order.add("bolt", 40)
    order.add("gear", 7)
    assert missing(order, make_stock()) == ["gear"]
