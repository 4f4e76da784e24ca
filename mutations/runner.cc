// The packet ports as in sim/cxxrtl_runner.cc; and what a fault does: one of the mutants that are in
// the netlist is chosen, or a bit of a register or a memory is turned over while the model runs.

#include "cxxrtl_runner.cc"

namespace {

struct State {
    const char *name; // CXXRTL's
    size_t bits;
    size_t (*depth)(const Top &); // rows of a memory; 0 for a register
    uint32_t *(*row)(Top &, size_t);
    uint32_t *(*next_row)(Top &, size_t); // what a register holds if it is not written; or null
};

#define REGISTER(member) \
    {#member, decltype(Top::member)::bits, [](const Top &) -> size_t { return 0; }, \
     [](Top &top, size_t) -> uint32_t * { return top.member.curr.data; }, \
     [](Top &top, size_t) -> uint32_t * { return top.member.next.data; }},
#define MEMORY(member) \
    {#member, decltype(width_of(Top::member))::value, \
     [](const Top &top) -> size_t { return top.member.depth; }, \
     [](Top &top, size_t row) -> uint32_t * { return top.member[row].data; }, nullptr},

template <size_t Bits>
std::integral_constant<size_t, Bits> width_of(const cxxrtl::memory<Bits> &);

template <class Design>
auto choose(Design &top, uint32_t mutant, int) -> decltype(top.p_mutant, void()) {
    top.p_mutant.template set<uint32_t>(mutant);
}

template <class Design>
void choose(Design &, uint32_t, long) {}

const State states[] = {EVERY_STATE(REGISTER, MEMORY)};

} // namespace

// 0 for none; there are none in a netlist without that input.
EXPORT void mutations_choose(Simulation *simulation, uint32_t mutant) {
    choose(simulation->top, mutant, 0);
}

EXPORT size_t mutations_state_count() { return sizeof states / sizeof *states; }

// The name of a register or a memory, how many bits it has, or each of its rows, and how many rows
// it has: 0 is for a register.
EXPORT const char *mutations_state(Simulation *simulation, size_t number, size_t *bits,
                                   size_t *depth) {
    const State &state = states[number];
    *bits = state.bits;
    *depth = state.depth(simulation->top);
    return state.name;
}

// The bits of a register or of one row of a memory, 32 in each word, bit 0 first.
EXPORT const uint32_t *mutations_read(Simulation *simulation, size_t number, size_t row) {
    return states[number].row(simulation->top, row);
}

EXPORT void mutations_reset(Simulation *simulation) { simulation->reset(); }

// Fills the memories that hold nothing but zeros with random bits.
EXPORT void mutations_fill(Simulation *simulation, uint64_t seed) {
    Pattern source(seed, uint64_t(1) << 31);
    for (const State &state : states) {
        size_t depth = state.depth(simulation->top);
        bool holds = false;
        for (size_t row = 0; row < depth; row++)
            for (size_t word = 0; word < (state.bits + 31) / 32; word++)
                holds = holds || state.row(simulation->top, row)[word];
        for (size_t row = 0; row < depth && !holds; row++)
            for (size_t bit = 0; bit < state.bits; bit++)
                state.row(simulation->top, row)[bit / 32] |= uint32_t(source.draw()) << bit % 32;
    }
}

EXPORT void mutations_flip(Simulation *simulation, size_t number, size_t row, size_t bit) {
    const State &state = states[number];
    uint32_t mask = 1u << bit % 32;
    state.row(simulation->top, row)[bit / 32] ^= mask;
    if (state.next_row)
        state.next_row(simulation->top, row)[bit / 32] ^= mask;
}
