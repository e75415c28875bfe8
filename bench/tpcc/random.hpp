// TPC-C's random inputs (TPC-C revision 5.11, clauses 2.1.6 and 4.3.2), from a seed.
#pragma once

#include "base/prng.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bft::tpcc {

/// An independent generator for the thing that `tag`, `a`, `b` and `c` name: the population is the
/// same however its parts are spread over threads.
Prng generator(std::uint64_t seed, std::string_view tag, std::uint64_t a = 0, std::uint64_t b = 0,
               std::uint64_t c = 0);

/// Uniform in [low, high].
int uniform(Prng& random, int low, int high);

/// NURand(A, x, y) with run-time constant `c` (clause 2.1.6).
int nurand(Prng& random, int a, int c, int x, int y);

/// The constants C of NURand. The difference of the two for last names obeys clause 2.1.6.1.
inline constexpr int c_last_load = 157;
inline constexpr int c_last_run = 223;
inline constexpr int c_customer_id = 259;
inline constexpr int c_item_id = 7911;

/// The last name of a number in [0, 999] (clause 4.3.2.3).
std::string last_name(int number);

/// Appends a string of `low` to `high` letters, digits, '+' and '-' (clause 4.3.2.2).
void append_text(Prng& random, int low, int high, std::string& out);
/// Appends `length` digits.
void append_digits(Prng& random, int length, std::string& out);
/// Appends text of `low` to `high` characters; one in ten holds "ORIGINAL" (clause 4.3.3.1).
void append_data(Prng& random, int low, int high, std::string& out);

/// 1 .. n in random order.
std::vector<int> permutation(Prng& random, int n);

}  // namespace bft::tpcc
