// Drives the AXI4-Stream ports of one CXXRTL model. Packets are queued on this side, so that one
// call from Python runs any number of cycles. Compiled together with the generated model.cc, which
// defines cxxrtl_design::p_top and has_feedback.

#include "model.cc"

#include <cxxrtl/cxxrtl_vcd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using Packet = std::vector<uint8_t>;

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

    void send(Packet packet) { requests.push_back(std::move(packet)); }

    void cycle() {
        set_inputs();
        if (waves || has_feedback)
            clock_in_two_phases();
        else
            clock_in_one_pass();
        cycles++;
    }

    // Writes what is left of the waves. False once a write has failed.
    bool flush_waves() { return !waves || waves->flush(); }

    bool waves_good() const { return !waves || waves->good; }

    uint64_t cycles = 0;
    std::deque<Packet> completions;

private:
    static constexpr uint64_t half_period = 5; // nanoseconds

    cxxrtl_design::p_top top;
    std::unique_ptr<Waves> waves; // reads top
    std::deque<Packet> requests;
    size_t offset = 0; // of the byte on offer, in the first request
    bool offered = false;
    Packet partial;
    Pattern idle;
    Pattern stall;

    void set_inputs() {
        if (!offered && !requests.empty() && !idle.draw()) {
            offered = true;
            const Packet &packet = requests.front();
            top.p_s__axis__tdata.set<uint8_t>(packet[offset]);
            top.p_s__axis__tlast.set<bool>(offset + 1 == packet.size());
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
            collect(top.p_m__axis__tdata.get<uint8_t>(), top.p_m__axis__tlast.get<bool>());
    }

    void taken() {
        offered = false;
        if (++offset == requests.front().size()) {
            requests.pop_front();
            offset = 0;
        }
    }

    void collect(uint8_t data, bool last) {
        partial.push_back(data);
        if (last) {
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
    simulation->send(Packet(data, data + size));
}

// Runs up to max_cycles, with until_packet no longer than until a completion is whole. Returns the
// size of the oldest completion, 0 if there is none.
EXPORT size_t intaglio_run(Simulation *simulation, uint64_t max_cycles, bool until_packet) {
    std::deque<Packet> &completions = simulation->completions;
    for (uint64_t n = 0; n < max_cycles && !(until_packet && !completions.empty()); n++)
        simulation->cycle();
    return completions.empty() ? 0 : completions.front().size();
}

// Moves the oldest completion into a buffer of the size that intaglio_run returned.
EXPORT void intaglio_take(Simulation *simulation, uint8_t *buffer) {
    const Packet &packet = simulation->completions.front();
    std::copy(packet.begin(), packet.end(), buffer);
    simulation->completions.pop_front();
}

EXPORT uint64_t intaglio_cycles(const Simulation *simulation) { return simulation->cycles; }

// False once waves could not be written.
EXPORT bool intaglio_waves_good(const Simulation *simulation) {
    return simulation->waves_good();
}

// Writes what is left of the waves; returns false if that failed.
EXPORT bool intaglio_close(Simulation *simulation) {
    bool good = simulation->flush_waves();
    delete simulation;
    return good;
}
