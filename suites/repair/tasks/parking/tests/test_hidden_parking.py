from parking.desk import Desk
from parking.lot import Lot, LotFull
from parking.tariff import member_price, price, started_hours


def refused(error, function, *args):
    try:
        function(*args)
    except error:
        return True
    return False


def test_full():
    lot = Lot(1)
    assert not lot.is_full()
    lot.enter("K9", 30)
    assert lot.is_full()
    assert refused(LotFull, lot.enter, "L1", 31)


def test_a_car_cannot_be_in_twice():
    lot = Lot(4)
    lot.enter("K9", 30)
    assert refused(ValueError, lot.enter, "K9", 31)


def test_a_car_cannot_leave_twice():
    lot = Lot(4)
    lot.enter("K9", 30)
    assert lot.leave("K9", 37) == 7
    assert refused(ValueError, lot.leave, "K9", 38)


def test_started_hours():
    assert [started_hours(minutes) for minutes in (0, 1, 59, 60, 119, 121)] == [0, 1, 1, 1, 2, 3]
    assert [price(minutes) for minutes in (0, 16, 180)] == [0, 200, 600]


def test_long_stays():
    assert price(300) == 1000
    assert price(301) == 1000
    assert price(900) == 1000


def test_members_pay_less():
    assert member_price(10) == 0
    assert member_price(45) == 160
    assert member_price(2000) == 800


def test_everything_paid_is_kept():
    lot = Lot(2)
    desk = Desk(lot, ["K9"])
    lot.enter("K9", 0)
    lot.enter("L1", 0)
    desk.checkout("K9", 5)
    desk.checkout("L1", 100)
    assert desk.visits("L1") == 1
    assert desk.income() == 400


def test_overdue_to_the_minute():
    lot = Lot(2)
    lot.enter("K9", 10)
    desk = Desk(lot)
    assert desk.overdue(69, 60) == []
    assert desk.overdue(70, 60) == ["K9"]
