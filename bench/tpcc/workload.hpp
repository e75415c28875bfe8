// What the terminals ask for: TPC-C's mix and inputs (clauses 2.4 to 2.8 and 5.2).
#pragma once

#include "base/prng.hpp"
#include "population.hpp"

#include <array>
#include <bftnode/client.hpp>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bft::tpcc {

enum class Transaction : std::uint8_t { new_order, payment, order_status, delivery, stock_level };
inline constexpr std::size_t transaction_count = 5;
inline constexpr std::array<std::string_view, transaction_count> procedure_names = {
    "new_order", "payment", "order_status", "delivery", "stock_level"};

constexpr std::size_t place(Transaction transaction) {
    return static_cast<std::size_t>(transaction);
}

/// Cards in a deck of a hundred (clause 5.2.3: Payment at least 43 %, the last three at least 4 %).
inline constexpr std::array<int, transaction_count> cards = {45, 43, 4, 4, 4};

/// What procedures.sql signals for an unused item, as the cluster reports an application's own
/// codes.
inline constexpr std::uint32_t code_application = 100000;
inline constexpr std::uint32_t code_unused_item = code_application + 31001;

struct Request {
    Transaction transaction{};
    std::vector<bftnode::Value> args;  ///< as config/apps/tpcc/catalog.toml declares them
    bool multi_partition = false;      ///< touches a second warehouse
    bool must_abort = false;           ///< a New-Order with an unused item

    [[nodiscard]] std::string_view procedure() const { return procedure_names[place(transaction)]; }
};

/// One terminal: at home in a warehouse and a district, draws from a deck of its own.
class Terminal {
public:
    Terminal(const Scale& scale, std::uint64_t seed, std::size_t number);

    Request next();
    /// Keying and think time of clause 5.2.5 around the last request, at full scale.
    std::chrono::microseconds pause();

private:
    Transaction draw();
    void new_order(Request& request);
    void payment(Request& request);
    void order_status(Request& request);
    int district() { return uniform_of(1, districts_per_warehouse); }
    int customer_id();
    std::string customer_name();
    int other_warehouse();
    int uniform_of(int low, int high);

    Scale scale_;
    Prng random_;
    int warehouse_;
    int district_;
    std::vector<Transaction> deck_;
    Transaction last_{};
};

}  // namespace bft::tpcc
