from purse.coins import change, fewest, ways
from purse.wallet import Wallet


def test_change_into_a_list():
    coins = [1]
    assert change(60, coins) == [1, 50, 10]
    assert change(0, coins) is coins


def test_change_again():
    for amount in (3, 400, 57):
        assert sum(change(amount)) == amount
    assert change(400) == [200, 200]


def test_ways_of_few():
    assert ways(0, [1, 2]) == 1
    assert ways(10, [5]) == 1
    assert ways(10, [1, 5, 10]) == 4


def test_no_way():
    assert ways(3, [2]) == 0
    assert ways(3, []) == 0


def test_fewest_of_odd_coins():
    assert fewest(0, [5]) == 0
    assert fewest(14, [1, 7, 10]) == 2
    assert fewest(7, [7, 3]) == 1
    assert fewest(4, [3, 5]) is None


def test_only_coins_are_put_in():
    wallet = Wallet([])
    wallet.put(100)
    for value in (3, 0, 500):
        try:
            wallet.put(value)
        except ValueError:
            continue
        assert False, f"{value} was put in"
    assert wallet.coins == [100]


def test_two_new_wallets():
    first, second = Wallet(), Wallet()
    first.coins.append(2)
    assert (first.total(), second.total()) == (2, 0)


def test_swap_after_paying():
    wallet = Wallet([10, 10, 2, 1, 1, 1])
    assert wallet.pay(1) == [1]
    assert wallet.coins == [10, 10, 2, 1, 1]
    wallet.swap()
    assert wallet.coins == [20, 2, 2]
