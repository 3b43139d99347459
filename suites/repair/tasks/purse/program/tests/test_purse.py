from purse.coins import change, fewest, ways
from purse.wallet import Wallet


def test_change():
    assert change(88) == [50, 20, 10, 5, 2, 1]
    assert change(4) == [2, 2]


def test_ways():
    assert ways(5, [1, 2, 5]) == 4


def test_fewest():
    assert fewest(20, [1, 10, 20]) == 1
    assert fewest(6, [1, 3, 4]) == 2


def test_new_wallets_are_empty():
    Wallet().coins.append(5)
    assert Wallet().total() == 0


def test_put():
    wallet = Wallet([10])
    wallet.put(2)
    assert wallet.coins == [10, 2]


def test_pay():
    wallet = Wallet([5, 50, 20, 5])
    assert wallet.pay(30) == [20, 5, 5]
    assert wallet.coins == [50]


def test_cannot_pay():
    wallet = Wallet([50])
    try:
        wallet.pay(30)
    except ValueError:
        assert wallet.total() == 50
        return
    assert False, "paid without the right coins"
