"""Places at instances: bounded, fair, and never lost."""

import asyncio
import random

import pytest

from ferryml.domain.errors import Unavailable
from ferryml.domain.routes import Upstream
from ferryml.router.slots import Pool

ONE, TWO = Upstream(instance=0, port=1), Upstream(instance=1, port=2)


def pool(*upstreams: Upstream, most: int = 1) -> Pool:
    made = Pool()
    made.update(upstreams, most)
    return made


async def waits(made: Pool, patient: bool = False) -> asyncio.Task:
    task = asyncio.create_task(made.acquire(60, patient))
    await asyncio.sleep(0)
    return task


async def test_the_least_busy_is_chosen():
    made = pool(ONE, TWO, most=2)
    first = await made.acquire(0)
    second = await made.acquire(0)
    assert first.upstream != second.upstream


async def test_first_come_first_served():
    made = pool(ONE)
    held = await made.acquire(0)
    tasks = [await waits(made) for _ in range(3)]
    served = []
    for _ in tasks:
        made.release(held)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done = [task for task in tasks if task.done() and task not in served]
        served += done
        held = done[0].result()
    assert served == tasks


async def test_the_patient_let_all_others_pass():
    made = pool(ONE)
    held = await made.acquire(0)
    patient = await waits(made, patient=True)
    hasty = await waits(made)
    made.release(held)
    held = await hasty
    assert not patient.done()
    made.release(held)
    assert (await patient).upstream == ONE


async def test_nobody_there_and_all_busy_are_told_apart():
    made = pool()
    with pytest.raises(Unavailable) as caught:
        await made.acquire(0.001)
    assert caught.value.code == "ResourceNotReady"
    made.update((ONE,), 1)
    await made.acquire(0)
    with pytest.raises(Unavailable) as caught:
        await made.acquire(0.001)
    assert caught.value.code == "QueueWaitExceeded"


async def test_who_gives_up_leaves_no_place_taken():
    made = pool(ONE)
    held = await made.acquire(0)
    gone = await waits(made)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    made.release(held)
    assert made.idle
    assert (await made.acquire(0)).busy == 1


async def test_cancelled_in_the_instant_of_being_served():
    made = pool(ONE)
    held = await made.acquire(0)
    unlucky = await waits(made)
    made.release(held)
    unlucky.cancel()
    await asyncio.gather(unlucky, return_exceptions=True)
    await asyncio.sleep(0)
    if not unlucky.cancelled():
        made.release(unlucky.result())
    assert made.idle


async def test_one_that_refuses_is_left_alone_for_a_moment():
    made = pool(ONE, TWO, most=5)
    slot = await made.acquire(0)
    made.refused(slot)
    made.release(slot)
    assert {(await made.acquire(0)).upstream for _ in range(5)} == {TWO if slot.upstream == ONE else ONE}


async def test_an_instance_that_returns_while_busy_keeps_its_count():
    made = pool(ONE)
    slot = await made.acquire(0)
    made.update((), 1)
    assert made.busy() == {(0, 1): 1}
    made.update((ONE,), 1)
    with pytest.raises(Unavailable):
        await made.acquire(0)
    made.release(slot)
    assert (await made.acquire(0)).upstream == ONE


async def test_any_sequence_ends_with_nothing_taken():
    dice = random.Random(5)
    made = pool(ONE, TWO, most=2)

    async def caller() -> None:
        try:
            slot = await made.acquire(dice.choice([0, 0.001, 0.05]), patient=dice.random() < 0.3)
        except Unavailable:
            return
        try:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            if dice.random() < 0.1:
                made.refused(slot)
        finally:  # canceled or not
            made.release(slot)

    async def changer() -> None:
        for _ in range(50):
            made.update(dice.choice([(ONE,), (TWO,), (ONE, TWO), ()]), dice.choice([1, 2, 3]))
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(caller()) for _ in range(200)]
    change = asyncio.create_task(changer())
    for task in dice.sample(tasks, 40):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, change, return_exceptions=True)
    assert made.idle
    assert set(made.busy().values()) <= {0}
