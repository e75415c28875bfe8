#include "random.hpp"

#include <array>
#include <numeric>

namespace bft::tpcc {

Prng generator(std::uint64_t seed, std::string_view tag, std::uint64_t a, std::uint64_t b,
               std::uint64_t c) {
    // FNV-1a over the tag, then each number passes through the generator's own mixer.
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (char ch : tag) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001b3u;
    for (std::uint64_t number : {seed, a, b, c}) hash = Prng(hash ^ number).next();
    return Prng(hash);
}

int uniform(Prng& random, int low, int high) {
    return low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low) + 1));
}

int nurand(Prng& random, int a, int c, int x, int y) {
    int mixed = uniform(random, 0, a) | uniform(random, x, y);
    return (mixed + c) % (y - x + 1) + x;
}

std::string last_name(int number) {
    static constexpr std::array<std::string_view, 10> syllables = {
        "BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"};
    std::string name;
    for (int divisor : {100, 10, 1})
        name += syllables[static_cast<std::size_t>(number / divisor % 10)];
    return name;
}

void append_text(Prng& random, int low, int high, std::string& out) {
    static constexpr char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    int length = low == high ? low : uniform(random, low, high);
    std::uint64_t bits = 0;
    for (int i = 0; i < length; ++i) {
        if (i % 10 == 0) bits = random.next();
        out.push_back(alphabet[bits & 63]);
        bits >>= 6;
    }
}

void append_digits(Prng& random, int length, std::string& out) {
    for (int i = 0; i < length; ++i) out.push_back(static_cast<char>('0' + random.below(10)));
}

void append_data(Prng& random, int low, int high, std::string& out) {
    std::size_t start = out.size();
    append_text(random, low, high, out);
    if (!random.chance(100)) return;
    static constexpr std::string_view mark = "ORIGINAL";
    std::size_t room = out.size() - start - mark.size();
    out.replace(start + random.below(room + 1), mark.size(), mark);
}

std::vector<int> permutation(Prng& random, int n) {
    std::vector<int> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), 1);
    for (std::size_t i = values.size(); i > 1; --i)
        std::swap(values[i - 1], values[random.below(i)]);
    return values;
}

}  // namespace bft::tpcc
