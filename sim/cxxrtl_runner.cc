// Drives the AXI4-Stream ports of one CXXRTL model. Packets are queued on this side, so that one
// call from Python runs any number of cycles. The generated model.h defines cxxrtl_design::p_top,
// has_feedback and EVERY_STATE.

#include "model.h"

#include <cxxrtl/cxxrtl_vcd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using Packet = std::vector<uint8_t>;
using Top = cxxrtl_design::p_top;

// Bytes in a beat, byte n in bits 8n .. 8n+7 of TDATA. CXXRTL keeps bit 0 of a value in bit 0 of
// the first of its words, so that on a little-endian machine these bytes are also byte n in memory.
constexpr size_t width = decltype(Top::p_s__axis__tdata)::bits / 8;
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

// CXXRTL makes an output a wire if a register drives it.
template <size_t Bits>
const cxxrtl::value<Bits> &current(const cxxrtl::value<Bits> &port) { return port; }

template <size_t Bits>
const cxxrtl::value<Bits> &current(const cxxrtl::wire<Bits> &port) { return port.curr; }

// Templates, as the port TKEEP is not there if a beat has one byte.
template <class Design>
void offer_beat(Design &top, const uint8_t *bytes, size_t count) {
    cxxrtl::value<8 * width> data;
    // Null bytes may be anything, and are nothing that shows.
    memset(data.data, 0xa5, width);
    memcpy(data.data, bytes, count);
    top.p_s__axis__tdata = data;
    if constexpr (width > 1)
        top.p_s__axis__tkeep.template set<uint32_t>((1u << count) - 1);
}

// The number of valid bytes: those below the lowest null byte.
template <class Design>
size_t valid_bytes(const Design &top) {
    if constexpr (width > 1) {
        uint32_t keep = top.p_m__axis__tkeep.template get<uint32_t>();
        size_t count = 0;
        while (keep >> count & 1)
            count++;
        return count;
    }
    return 1;
}

// The twin of Pattern in stream_timing.py.
class Pattern {
public:
    Pattern(uint64_t seed, uint64_t threshold) : state(seed), threshold(threshold) {}

    bool draw() {
        if (threshold == 0)
            return false;
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 32) < threshold;
    }

private:
    uint64_t state;
    uint64_t threshold;
};

// A VCD file of every signal; memories are left out, as they would fill it.
class Waves {
public:
    Waves(FILE *file, cxxrtl::module &top) : file(file) {
        top.debug_info(&items, /*scopes=*/nullptr, "top ");
        writer.timescale(1, "ns");
        writer.add_without_memories(items);
    }

    ~Waves() { fclose(file); }

    void sample(uint64_t nanoseconds) {
        writer.sample(nanoseconds);
        if (writer.buffer.size() >= flush_bytes)
            flush();
    }

    // False once a write has failed, as on a full disk.
    bool flush() {
        const std::string &text = writer.buffer;
        good = good && fwrite(text.data(), 1, text.size(), file) == text.size() && !fflush(file);
        writer.buffer.clear();
        return good;
    }

    bool good = true;

private:
    static constexpr size_t flush_bytes = 1 << 20;
    FILE *file;
    cxxrtl::debug_items items;
    cxxrtl::vcd_writer writer;
};

class Simulation {
public:
    Simulation(FILE *vcd, Pattern idle, Pattern stall)
        : waves(vcd ? new Waves(vcd, top) : nullptr), idle(idle), stall(stall) {}

    void send(const uint8_t *data, size_t size) { requests.emplace_back(data, data + size); }

    void cycle() {
        set_inputs();
        if (waves || has_feedback)
            clock_in_two_phases();
        else
            clock_in_one_pass();
        cycles++;
    }

    // A cycle in reset. What is under way on either side of the ports is lost.
    void reset() {
        top.p_rst.set<bool>(true);
        cycle();
        top.p_rst.set<bool>(false);
        requests.clear();
        offset = 0;
        offered = false;
        completions.clear();
        partial.clear();
    }

    // The bytes of the oldest completions, one after the other, until the next call.
    const uint8_t *take(size_t count, uint64_t *sizes) {
        received.clear();
        for (size_t n = 0; n < count; n++) {
            const Packet &packet = completions.front();
            sizes[n] = packet.size();
            received.insert(received.end(), packet.begin(), packet.end());
            completions.pop_front();
        }
        return received.data();
    }

    // Writes what is left of the waves. False once a write has failed.
    bool flush_waves() { return !waves || waves->flush(); }

    bool waves_good() const { return !waves || waves->good; }

    Top top;
    uint64_t cycles = 0;
    std::deque<Packet> completions;

private:
    static constexpr uint64_t half_period = 5; // nanoseconds

    std::unique_ptr<Waves> waves; // reads top
    std::deque<Packet> requests;
    size_t offset = 0; // of the beat on offer, in the first request
    bool offered = false;
    Packet partial;
    std::vector<uint8_t> received;
    Pattern idle;
    Pattern stall;

    void set_inputs() {
        if (!offered && !requests.empty() && !idle.draw()) {
            offered = true;
            const Packet &packet = requests.front();
            size_t left = packet.size() - offset;
            offer_beat(top, &packet[offset], left < width ? left : width);
            top.p_s__axis__tlast.set<bool>(left <= width);
        }
        top.p_s__axis__tvalid.set<bool>(offered);
        top.p_m__axis__tready.set<bool>(!stall.draw());
    }

    // One evaluation a cycle. With no feedback between combinational signals it computes, from the
    // registers as they were before the edge, both the outputs and what the registers become.
    void clock_in_one_pass() {
        top.p_clk.set<bool>(true);
        top.eval();
        transfer();
        top.commit();
        top.prev_p_clk.set<bool>(false); // the next evaluation is a rising edge again
    }

    void clock_in_two_phases() {
        set_clock(false);
        transfer();
        set_clock(true);
    }

    void set_clock(bool level) {
        top.p_clk.set<bool>(level);
        top.step();
        if (waves) {
            top.step(); // what the new registers drive
            waves->sample((2 * cycles + level) * half_period);
        }
    }

    void transfer() {
        if (offered && top.p_s__axis__tready.get<bool>())
            taken();
        if (top.p_m__axis__tready.get<bool>() && top.p_m__axis__tvalid.get<bool>())
            collect();
    }

    void taken() {
        offered = false;
        offset += width;
        if (offset >= requests.front().size()) {
            requests.pop_front();
            offset = 0;
        }
    }

    void collect() {
        uint8_t bytes[width];
        memcpy(bytes, current(top.p_m__axis__tdata).data, width);
        partial.insert(partial.end(), bytes, bytes + valid_bytes(top));
        if (top.p_m__axis__tlast.get<bool>()) {
            completions.push_back(std::move(partial));
            partial.clear();
        }
    }
};

} // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// vcd_path is null for no waves. Returns null if the file cannot be opened; errno says why.
EXPORT Simulation *intaglio_open(const char *vcd_path, uint64_t idle_seed, uint64_t idle_threshold,
                                 uint64_t stall_seed, uint64_t stall_threshold) {
    FILE *vcd = vcd_path ? fopen(vcd_path, "w") : nullptr;
    if (vcd_path && !vcd)
        return nullptr;
    return new Simulation(vcd, Pattern(idle_seed, idle_threshold),
                          Pattern(stall_seed, stall_threshold));
}

EXPORT void intaglio_send(Simulation *simulation, const uint8_t *data, size_t size) {
    simulation->send(data, size);
}

// Queues packets of these sizes; their bytes follow each other in data.
EXPORT void intaglio_send_all(Simulation *simulation, const uint8_t *data, const uint64_t *sizes,
                              size_t count) {
    for (size_t n = 0; n < count; data += sizes[n++])
        simulation->send(data, sizes[n]);
}

// Runs up to max_cycles, and no longer than until so many completions are whole. Returns how many
// are, or -1 once waves could not be written.
EXPORT int64_t intaglio_run(Simulation *simulation, uint64_t max_cycles, size_t wanted) {
    const std::deque<Packet> &completions = simulation->completions;
    for (uint64_t n = 0; n < max_cycles && completions.size() < wanted; n++)
        simulation->cycle();
    return simulation->waves_good() ? int64_t(completions.size()) : -1;
}

// Takes the oldest completions, of which there must be so many. Returns their bytes, one after the
// other, until the next call, and writes their sizes.
EXPORT const uint8_t *intaglio_take(Simulation *simulation, size_t count, uint64_t *sizes) {
    return simulation->take(count, sizes);
}

EXPORT uint64_t intaglio_cycles(const Simulation *simulation) { return simulation->cycles; }

// Writes what is left of the waves; returns false if that failed.
EXPORT bool intaglio_close(Simulation *simulation) {
    bool good = simulation->flush_waves();
    delete simulation;
    return good;
}
