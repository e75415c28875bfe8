// The initial contents of TPC-C's nine tables (clause 4.3.3.1), in chunks of text that LOAD DATA
// reads: tab between columns, newline after a row, \N for NULL, rows in primary-key order.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bft::tpcc {

inline constexpr int districts_per_warehouse = 10;

/// How many of everything. Full cardinality at factor 1; a smaller factor shrinks items, stock and
/// what a district has, for tests.
struct Scale {
    int warehouses = 1;
    int items = 100000;                 ///< and stock rows per warehouse
    int customers_per_district = 3000;  ///< and orders per district
    int new_orders_per_district = 900;

    [[nodiscard]] int delivered_per_district() const {
        return customers_per_district - new_orders_per_district;
    }
    /// Customers whose last names are numbered one after the other; each such name exists.
    [[nodiscard]] int named_customers() const {
        return customers_per_district < 1000 ? customers_per_district : 1000;
    }
    /// `factor` in (0, 1].
    static Result<Scale> of(int warehouses, double factor);
};

enum class Table : std::uint8_t {
    warehouse,
    district,
    customer,
    history,
    orders,
    new_order,
    order_line,
    stock,
    item,
};
inline constexpr std::array all_tables = {Table::warehouse,  Table::district, Table::customer,
                                          Table::history,    Table::orders,   Table::new_order,
                                          Table::order_line, Table::stock,    Table::item};

struct TableInfo {
    std::string_view name;
    std::string_view partition_column;  ///< empty for the global table
    std::string_view columns;           ///< in the order of the generated text
    std::string_view primary_key;
};
const TableInfo& info(Table table);

/// The whole population, as a function: chunk(table, n) is the same text on every machine.
class Population {
public:
    Population(Scale scale, std::uint64_t seed) : scale_(scale), seed_(seed) {}

    [[nodiscard]] const Scale& scale() const { return scale_; }
    [[nodiscard]] std::size_t chunk_count(Table table) const;
    /// Appends chunk `n` < chunk_count(table): a district's, a warehouse's or some items' rows.
    void chunk(Table table, std::size_t n, std::string& out) const;
    [[nodiscard]] std::uint64_t row_count(Table table) const;

private:
    void warehouse(int w, std::string& out) const;
    void district(int w, std::string& out) const;
    void customer(int w, int d, std::string& out) const;
    void history(int w, std::string& out) const;
    void orders(int w, int d, std::string& out) const;
    void new_order(int w, int d, std::string& out) const;
    void order_line(int w, int d, std::string& out) const;
    void stock(int w, int first, int last, std::string& out) const;
    void item(int first, int last, std::string& out) const;
    /// Number of lines of an initial order, the same for `orders` and `order_line`.
    [[nodiscard]] int line_count(int w, int d, int o) const;

    Scale scale_;
    std::uint64_t seed_;
};

}  // namespace bft::tpcc
