from parking.desk import Desk
from parking.lot import Lot, LotFull
from parking.tariff import member_price, price


def test_no_place_left():
    lot = Lot(2)
    lot.enter("A1", 0)
    lot.enter("B2", 5)
    try:
        lot.enter("C3", 9)
    except LotFull:
        return
    assert False, "a third car was let in"


def test_leaving_makes_room():
    lot = Lot(1)
    lot.enter("A1", 10)
    assert lot.leave("A1", 40) == 30
    lot.enter("B2", 50)
    assert list(lot.entered) == ["B2"]


def test_price():
    assert price(15) == 0
    assert price(60) == 200
    assert price(61) == 400


def test_price_of_a_day():
    assert price(360) == 1000


def test_member_price():
    assert member_price(120) == 320


def test_income():
    lot = Lot(2)
    desk = Desk(lot)
    lot.enter("A1", 0)
    lot.enter("B2", 0)
    assert desk.checkout("A1", 60) == 200
    assert desk.checkout("B2", 90) == 400
    assert desk.income() == 600


def test_overdue():
    lot = Lot(3)
    lot.enter("A1", 0)
    lot.enter("B2", 100)
    lot.enter("C3", 200)
    assert Desk(lot).overdue(300, 200) == ["A1", "B2"]
