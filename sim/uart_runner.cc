// Drives the pins rx and tx of one CXXRTL model as the UART at the other end of the wires would: 8
// data bits, least significant first, no parity, one stop bit. Bytes are queued on this side, so
// that one call from Python runs any number of cycles. The generated model.h defines
// cxxrtl_design::p_top and has_feedback.

#include "model.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

namespace {

// CXXRTL makes an output a wire if a register drives it.
template <size_t Bits>
const cxxrtl::value<Bits> &current(const cxxrtl::value<Bits> &port) { return port; }

template <size_t Bits>
const cxxrtl::value<Bits> &current(const cxxrtl::wire<Bits> &port) { return port.curr; }

// Times are in cycles of the design's clock, with 16 bits behind the point.
constexpr unsigned point = 16;
constexpr unsigned frame_bits = 10;

class Sender {
public:
    // A byte, or with break_flag set a line that is low for so many bits.
    static constexpr uint32_t break_flag = 1u << 31;
    std::deque<uint32_t> queue;

    bool busy() const { return left != 0 || !queue.empty(); }

    bool level(uint64_t now, uint64_t period) {
        while (left != 0 && now >= bit_end) {
            bits = bits >> 1 | 1u << (frame_bits - 1);
            bit_end += period;
            left--;
        }
        if (left == 0 && !queue.empty())
            begin(now, period);
        return left == 0 || (bits & 1);
    }

private:
    uint32_t bits = 0;
    uint64_t bit_end = 0; // of the bit on the line; where it is exact, no time passes between bytes
    uint32_t left = 0;    // bits on the line or to come

    void begin(uint64_t now, uint64_t period) {
        uint32_t next = queue.front();
        queue.pop_front();
        bool is_break = next & break_flag;
        uint64_t start = bit_end > now || now - bit_end >= 1u << point ? now : bit_end;
        left = is_break ? 1 : frame_bits;
        bits = is_break ? 0 : next << 1 | 1u << (frame_bits - 1);
        bit_end = start + (is_break ? (next & ~break_flag) * period : period);
    }
};

class Receiver {
public:
    std::vector<uint8_t> bytes;

    bool busy() const { return left != 0; }

    void sample(bool level, uint64_t now, uint64_t period) {
        if (left == 0) {
            if (level)
                return;
            left = frame_bits;
            next = now + period / 2;
        }
        if (now < next)
            return;
        next += period;
        bits = bits >> 1 | uint32_t(level) << (frame_bits - 1);
        if (--left == 0)
            bytes.push_back(uint8_t(bits >> 1));
    }

private:
    uint32_t bits = 0;
    uint64_t next = 0; // when the next bit is sampled, in its middle
    uint32_t left = 0;
};

class Board {
public:
    uint64_t period = 1u << point; // of a bit
    uint64_t cycles = 0;
    uint64_t last_activity = 0; // the last cycle with a bit on either wire
    Sender sender;
    Receiver receiver;

    void cycle() {
        uint64_t now = cycles << point;
        top.p_rx.set<bool>(sender.level(now, period));
        if (has_feedback) {
            set_clock(false);
            sample(now);
            set_clock(true);
        } else {
            top.p_clk.set<bool>(true);
            top.eval();
            sample(now);
            top.commit();
            top.prev_p_clk.set<bool>(false); // the next evaluation is a rising edge again
        }
        cycles++;
    }

private:
    cxxrtl_design::p_top top;

    void set_clock(bool level) {
        top.p_clk.set<bool>(level);
        top.step();
    }

    void sample(uint64_t now) {
        receiver.sample(current(top.p_tx).template get<bool>(), now, period);
        if (sender.busy() || receiver.busy())
            last_activity = cycles;
    }
};

} // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Board *uart_open() { return new Board; }

EXPORT void uart_close(Board *board) { delete board; }

// What a bit takes, in both directions, in 65536ths of a cycle.
EXPORT void uart_set_period(Board *board, uint64_t period) { board->period = period; }

EXPORT void uart_send(Board *board, const uint8_t *data, size_t size) {
    board->sender.queue.insert(board->sender.queue.end(), data, data + size);
}

EXPORT void uart_send_break(Board *board, uint32_t bits) {
    board->sender.queue.push_back(Sender::break_flag | bits);
}

// Runs up to max_cycles, and no longer than until both wires have been idle for quiet_cycles.
// Returns how many bytes wait to be taken.
EXPORT size_t uart_run(Board *board, uint64_t max_cycles, uint64_t quiet_cycles) {
    for (uint64_t n = 0; n < max_cycles; n++) {
        if (!board->sender.busy() && board->cycles - board->last_activity >= quiet_cycles)
            break;
        board->cycle();
    }
    return board->receiver.bytes.size();
}

// Moves all bytes that have come to data, which has room for them.
EXPORT void uart_take(Board *board, uint8_t *data) {
    std::vector<uint8_t> &bytes = board->receiver.bytes;
    std::copy(bytes.begin(), bytes.end(), data);
    bytes.clear();
}

EXPORT size_t uart_pending(const Board *board) { return board->sender.queue.size(); }

EXPORT uint64_t uart_cycles(const Board *board) { return board->cycles; }
