"""The device class against links that behave, and against links that do not."""

import dataclasses
import threading

import pytest

from driver import (
    BadCompletion,
    BatchRefused,
    Counter,
    Device,
    LinkTimeout,
    Load,
    NoFreeSlot,
    Opened,
    ProtocolMismatch,
    RequestRefused,
    Status,
    Suite,
    Usage,
)
from driver.messages import ALL_SLOTS, Completion, Opcode, Request
from tests.driver.fake_link import INFO, FakeLink, complete

RECORD_NUMBER = bytes.fromhex("0003 000000000102")


def echo(request: Request) -> list[bytes]:
    """Completes everything with OK; the payload tells requests apart."""
    return [complete(request, b"<" + request.payload + b">")]


def refuse_b(request: Request) -> list[bytes]:
    if request.payload.startswith(b"b"):
        return [complete(request, status=Status.KEY_LIMIT)]
    return echo(request)


class TestConstruction:
    def test_reads_what_the_device_is(self):
        assert Device(FakeLink()).info == INFO

    def test_refuses_another_contract_version(self):
        link = FakeLink()
        link.info = dataclasses.replace(INFO, version=7).pack()
        with pytest.raises(ProtocolMismatch, match="version 7, this driver 2"):
            Device(link)

    @pytest.mark.parametrize(
        "payload", [b"", bytes(32), b"INTAGLIO"], ids=["empty", "zeros", "cut"]
    )
    def test_refuses_what_is_no_accelerator(self, payload):
        link = FakeLink()
        link.info = payload
        with pytest.raises(ProtocolMismatch):
            Device(link)

    def test_refuses_a_profile_name_that_is_not_ascii(self):
        link = FakeLink()
        link.info = INFO.pack()[:-5] + b"\xff" + INFO.pack()[-4:]
        with pytest.raises(ProtocolMismatch):
            Device(link)

    @pytest.mark.parametrize("in_flight", [0, 1 << 16])
    def test_refuses_a_senseless_number_of_requests_in_flight(self, in_flight):
        with pytest.raises(ValueError, match=f"in_flight is {in_flight}"):
            Device(FakeLink(), in_flight=in_flight)

    def test_closes_the_link_at_the_end_of_a_with_block(self):
        link = FakeLink()
        with Device(link) as device:
            assert not link.closed
        assert link.closed
        assert device.info == INFO


class TestRequests:
    def test_seal_sends_content_and_its_type(self):
        link = FakeLink(echo)
        assert Device(link).seal(1, 23, b"hello") == b"<hello\x17>"
        assert link.requests[0].slot == 1
        assert Device(link).seal(1, 23, b"hello", padding=2) == b"<hello\x17\0\0>"

    def test_open_takes_a_completion_apart(self):
        link = FakeLink(lambda request: [complete(request, RECORD_NUMBER + b"hello\x17")])
        assert Device(link).open(0, b"record") == Opened(3, 0x102, 23, b"hello")

    def test_open_takes_an_empty_content(self):
        link = FakeLink(lambda request: [complete(request, RECORD_NUMBER + b"\x15")])
        assert Device(link).open(0, b"record") == Opened(3, 0x102, 21, b"")

    def test_open_raises_the_refusal(self):
        link = FakeLink(lambda request: [complete(request, status=Status.REPLAYED)])
        with pytest.raises(RequestRefused, match="OPEN on slot 0 refused: REPLAYED") as refusal:
            Device(link).open(0, b"record")
        assert refusal.value.status is Status.REPLAYED

    def test_aead_requests_carry_prefix_associated_data_and_text(self):
        link = FakeLink(echo)
        device = Device(link)
        nonce = bytes(range(12))
        assert device.aead_seal(0, nonce, b"text", b"aad") == b"<\0\3\0\0" + nonce + b"aadtext>"
        assert device.aead_open(0, nonce, b"text") == b"<\0\0\0\0" + nonce + b"text>"
        assert [request.opcode for request in link.requests] == [Opcode.AEAD_SEAL, Opcode.AEAD_OPEN]

    def test_zeroize_all_names_every_slot(self):
        link = FakeLink(lambda request: [complete(request)])
        Device(link).zeroize_all()
        assert (link.requests[0].opcode, link.requests[0].slot) == (Opcode.ZEROIZE, ALL_SLOTS)

    def test_stats_names_each_counter(self):
        payload = b"".join((10 * counter).to_bytes(8, "big") for counter in Counter)
        link = FakeLink(lambda request: [complete(request, payload)])
        assert Device(link).stats() == {counter: 10 * counter for counter in Counter}

    def test_request_ids_wrap(self):
        device = Device(FakeLink(echo))
        records = device.seal_many(0, [(23, b"")] * 66_000)
        assert len(records) == 66_000


class TestArguments:
    """What no request can carry is refused before anything is sent."""

    @pytest.mark.parametrize("content_type", [-1, 0, 256])
    def test_content_type(self, content_type):
        link = FakeLink(echo)
        with pytest.raises(ValueError, match=f"content type {content_type} "):
            Device(link).seal(0, content_type, b"")
        assert not link.requests

    def test_content_over_the_largest_record(self):
        link = FakeLink(echo)
        device = Device(link)
        device.seal(0, 23, bytes(100))
        with pytest.raises(ValueError, match="content has 101 bytes, over the 100"):
            device.seal_many(0, [(23, b"fits"), (23, bytes(101))])
        assert len(link.requests) == 1

    @pytest.mark.parametrize("slot", [-1, 2, ALL_SLOTS])
    def test_slot(self, slot):
        link = FakeLink(echo)
        with pytest.raises(ValueError, match=f"slot {slot} is not one of the device's 2"):
            Device(link).zeroize(slot)
        assert not link.requests

    def test_record_over_what_a_packet_holds(self):
        link = FakeLink(echo)
        with pytest.raises(ValueError, match="65536 bytes"):
            Device(link).open_many(0, [b"fits", bytes(1 << 16)])
        assert not link.requests

    def test_nonce_of_another_length(self):
        with pytest.raises(ValueError, match="nonce has 8 bytes, not 12"):
            Device(FakeLink()).aead_seal(0, bytes(8), b"")

    def test_keys_stay_out_of_the_message(self):
        with pytest.raises(ValueError, match="key has 15 bytes") as error:
            Device(FakeLink()).load(0, Load(Suite.AES_128_GCM, Usage.AEAD, key=b"k" * 15))
        assert "kk" not in str(error.value)


class TestBatches:
    @pytest.mark.parametrize("in_flight", [1, 3, 8])
    def test_keep_several_requests_in_flight_but_no_more(self, in_flight):
        link = FakeLink(echo)
        device = Device(link, in_flight=in_flight)
        contents = [b"%d" % i for i in range(20)]
        records = device.seal_many(0, [(23, content) for content in contents])
        assert records == [b"<" + content + b"\x17>" for content in contents]
        assert link.most_in_flight == in_flight

    def test_may_be_empty(self):
        device = Device(FakeLink())
        assert device.seal_many(0, []) == []
        assert device.open_many(0, []) == []

    def test_seal_many_tells_what_was_sealed_beside_a_refusal(self):
        device = Device(FakeLink(refuse_b))
        with pytest.raises(BatchRefused, match="SEAL on slot 1 refused: KEY_LIMIT") as refusal:
            device.seal_many(1, [(23, b"a"), (23, b"b"), (23, b"c")])
        assert refusal.value.results == [b"<a\x17>", Status.KEY_LIMIT, b"<c\x17>"]
        assert refusal.value.status is Status.KEY_LIMIT

    def test_open_many_gives_a_status_for_each_refusal(self):
        def answer(request):
            if request.payload == b"bad":
                return [complete(request, status=Status.BAD_TAG)]
            return [complete(request, RECORD_NUMBER + request.payload + b"\x17")]

        results = Device(FakeLink(answer)).open_many(0, [b"a", b"bad", b"c"])
        expected = [Opened(3, 0x102, 23, b"a"), Status.BAD_TAG, Opened(3, 0x102, 23, b"c")]
        assert results == expected


class TestTimeouts:
    def test_silence_is_a_link_timeout(self):
        with pytest.raises(LinkTimeout):
            Device(FakeLink()).seal(0, 23, b"")

    def test_a_late_completion_is_dropped(self):
        link = FakeLink()
        device = Device(link)
        with pytest.raises(LinkTimeout):
            device.seal(0, 23, b"late")
        link.waiting.extend(echo(link.requests[0]))
        link.answer = echo
        assert device.seal(0, 23, b"next") == b"<next\x17>"

    def test_a_batch_that_timed_out_leaves_the_device_usable(self):
        link = FakeLink(lambda request: [] if request.payload.startswith(b"3") else echo(request))
        device = Device(link)
        with pytest.raises(LinkTimeout):
            # 4 to 6 complete, but 3 never does: a broken device.
            device.seal_many(0, [(23, b"%d" % i) for i in range(1, 4)])
        link.answer = echo
        assert device.seal(0, 23, b"next") == b"<next\x17>"

    def test_late_completions_come_before_those_of_new_requests(self):
        link = FakeLink()
        device = Device(link, in_flight=4)
        with pytest.raises(LinkTimeout):
            device.seal_many(0, [(23, b"late")] * 9)
        assert len(link.requests) == 4
        link.waiting.extend(packet for request in link.requests for packet in echo(request))
        link.answer = echo
        assert device.seal_many(0, [(23, b"new")] * 9) == [b"<new\x17>"] * 9

    def test_what_never_came_is_forgotten_once_a_later_request_completes(self):
        link = FakeLink()
        device = Device(link)
        with pytest.raises(LinkTimeout):
            device.seal(0, 23, b"lost")
        link.answer = echo
        device.seal(0, 23, b"done")
        link.answer = lambda request: [*echo(link.requests[0]), *echo(request)]
        with pytest.raises(BadCompletion, match="nobody waits for"):
            device.seal(0, 23, b"")

    def test_a_device_that_repeats_itself_is_told(self):
        link = FakeLink()
        device = Device(link)
        with pytest.raises(LinkTimeout):
            device.seal(0, 23, b"late")
        link.answer = lambda request: echo(link.requests[0]) * 2
        with pytest.raises(BadCompletion, match="nobody waits for"):
            device.seal(0, 23, b"next")

    def test_dropping_late_completions_takes_no_more_time(self):
        link = FakeLink()
        device = Device(link, timeout=3.0)
        with pytest.raises(LinkTimeout):
            device.seal(0, 23, b"late")
        link.timeouts.clear()
        link.answer = lambda request: echo(link.requests[0]) + echo(request)
        device.seal(0, 23, b"next")
        first, second = link.timeouts
        assert 3.0 >= first >= second >= 0.0

    def test_an_error_while_sending_leaves_the_device_usable(self):
        link = FakeLink(echo)
        device = Device(link)

        def fail(request):
            raise LinkTimeout("output buffer stays full")

        link.answer = fail
        with pytest.raises(LinkTimeout, match="output buffer"):
            device.seal(0, 23, b"")
        link.answer = echo
        assert device.seal(0, 23, b"next") == b"<next\x17>"


class TestBadCompletions:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda request: b"",
            lambda request: complete(request)[:7],
            lambda request: complete(request) + b"x",
            lambda request: complete(request, status=200),
            lambda request: complete(request, b"text", Status.BAD_TAG),
            lambda request: complete(dataclasses.replace(request, slot=1)),
            lambda request: complete(dataclasses.replace(request, opcode=Opcode.OPEN)),
            lambda request: complete(dataclasses.replace(request, request_id=999)),
        ],
        ids=["nothing", "cut", "surplus", "status", "payload", "slot", "opcode", "id"],
    )
    def test_are_told_and_the_device_stays_usable(self, spoil):
        link = FakeLink(lambda request: [spoil(request)])
        device = Device(link)
        with pytest.raises(BadCompletion):
            device.seal(0, 23, b"hello")
        link.answer = echo
        assert device.seal(0, 23, b"next") == b"<next\x17>"

    def test_open_completed_without_a_content_type(self):
        link = FakeLink(lambda request: [complete(request, RECORD_NUMBER)])
        with pytest.raises(BadCompletion, match="8 bytes"):
            Device(link).open(0, b"record")

    def test_stats_of_another_length(self):
        link = FakeLink(lambda request: [complete(request, bytes(8))])
        with pytest.raises(BadCompletion, match="STATS payload has 8 bytes"):
            Device(link).stats()

    def test_content_never_shows(self):
        opened = Opened(3, 4, 23, b"secret")
        completion = Completion(Opcode.OPEN, Status.OK, 0, 0, b"secret")
        assert "secret" not in repr(opened) + repr(completion)


class TestSlots:
    def test_are_given_once_and_zeroized_when_freed(self):
        link = FakeLink(lambda request: [complete(request)])
        device = Device(link)
        assert [device.allocate(), device.allocate()] == [0, 1]
        with pytest.raises(NoFreeSlot, match="all 2 slots"):
            device.allocate()
        device.free(0)
        assert (link.requests[0].opcode, link.requests[0].slot) == (Opcode.ZEROIZE, 0)
        assert device.allocate() == 0

    def test_cannot_be_freed_twice(self):
        device = Device(FakeLink())
        with pytest.raises(ValueError, match="slot 1 is not allocated"):
            device.free(1)

    def test_stay_allocated_if_zeroizing_fails(self):
        device = Device(FakeLink())
        device.allocate()
        with pytest.raises(LinkTimeout):
            device.free(0)
        assert device.allocate() == 1


def test_threads_may_share_a_device():
    device = Device(FakeLink(echo))
    results: dict[int, list[bytes]] = {}

    def work(number: int) -> None:
        results[number] = device.seal_many(0, [(23, b"%d" % number)] * 500)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [b"<%d\x17>" % number] * 500 for number in range(4)}
