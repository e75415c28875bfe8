#include "population.hpp"

#include "random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace bft::tpcc {

namespace {

// The population's own clock: every database must get the same one.
constexpr std::string_view genesis_time = "2026-01-01 00:00:00";
constexpr int items_per_chunk = 10000;

std::size_t size(int n) {
    return static_cast<std::size_t>(n);
}

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

/// Street, street, city, state, zip (clause 4.3.2.7), each followed by a tab.
void append_address(Prng& random, std::string& out) {
    for (int i = 0; i < 3; ++i) {
        append_text(random, 10, 20, out);
        out.push_back('\t');
    }
    append_text(random, 2, 2, out);
    out.push_back('\t');
    append_digits(random, 4, out);
    out.append("11111\t");
}

/// Hundredths as a decimal number.
void append_cents(int cents, std::string& out) {
    put(out, "{}.{:02}", cents / 100, cents % 100);
}

void append_rate(Prng& random, int high, std::string& out) {
    put(out, "0.{:04}", uniform(random, 0, high));
}

constexpr TableInfo tables[] = {
    {"warehouse", "w_id", "w_id,w_name,w_street_1,w_street_2,w_city,w_state,w_zip,w_tax,w_ytd",
     "w_id"},
    {"district", "d_w_id",
     "d_w_id,d_id,d_name,d_street_1,d_street_2,d_city,d_state,d_zip,d_tax,d_ytd,d_next_o_id",
     "d_w_id,d_id"},
    {"customer", "c_w_id",
     "c_w_id,c_d_id,c_id,c_first,c_middle,c_last,c_street_1,c_street_2,c_city,c_state,c_zip,"
     "c_phone,c_since,c_credit,c_credit_lim,c_discount,c_balance,c_ytd_payment,c_payment_cnt,"
     "c_delivery_cnt,c_data",
     "c_w_id,c_d_id,c_id"},
    {"history", "h_w_id",
     "h_w_id,h_c_w_id,h_c_d_id,h_c_id,h_payment_cnt,h_d_id,h_date,h_amount,h_data",
     "h_w_id,h_c_w_id,h_c_d_id,h_c_id,h_payment_cnt"},
    {"orders", "o_w_id", "o_w_id,o_d_id,o_id,o_c_id,o_entry_d,o_carrier_id,o_ol_cnt,o_all_local",
     "o_w_id,o_d_id,o_id"},
    {"new_order", "no_w_id", "no_w_id,no_d_id,no_o_id", "no_w_id,no_d_id,no_o_id"},
    {"order_line", "ol_w_id",
     "ol_w_id,ol_d_id,ol_o_id,ol_number,ol_i_id,ol_supply_w_id,ol_delivery_d,ol_quantity,"
     "ol_amount,ol_dist_info",
     "ol_w_id,ol_d_id,ol_o_id,ol_number"},
    {"stock", "s_w_id",
     "s_w_id,s_i_id,s_quantity,s_dist_01,s_dist_02,s_dist_03,s_dist_04,s_dist_05,s_dist_06,"
     "s_dist_07,s_dist_08,s_dist_09,s_dist_10,s_ytd,s_order_cnt,s_remote_cnt,s_data",
     "s_w_id,s_i_id"},
    {"item", "", "i_id,i_im_id,i_name,i_price,i_data", "i_id"},
};

}  // namespace

const TableInfo& info(Table table) {
    return tables[static_cast<std::size_t>(table)];
}

Result<Scale> Scale::of(int warehouses, double factor) {
    if (warehouses < 1 || warehouses > 100000)
        return error(Errc::malformed, "the number of warehouses must be 1 to 100000");
    if (!(factor > 0 && factor <= 1))
        return error(Errc::malformed, "the scale must be above 0 and at most 1");
    auto scaled = [factor](int full, int least) {
        return std::max(least, static_cast<int>(std::lround(full * factor)));
    };
    Scale scale;
    scale.warehouses = warehouses;
    scale.items = scaled(100000, 100);
    // A multiple of ten, since seven orders in ten of a fresh district are delivered.
    scale.customers_per_district = scaled(300, 3) * 10;
    scale.new_orders_per_district = scale.customers_per_district / 10 * 3;
    return scale;
}

std::size_t Population::chunk_count(Table table) const {
    std::size_t item_chunks = size((scale_.items + items_per_chunk - 1) / items_per_chunk);
    switch (table) {
        case Table::warehouse:
        case Table::district:
        case Table::history:
            return size(scale_.warehouses);
        case Table::customer:
        case Table::orders:
        case Table::new_order:
        case Table::order_line:
            return size(scale_.warehouses * districts_per_warehouse);
        case Table::stock:
            return size(scale_.warehouses) * item_chunks;
        case Table::item:
            return item_chunks;
    }
    return 0;
}

std::uint64_t Population::row_count(Table table) const {
    auto warehouses = static_cast<std::uint64_t>(scale_.warehouses);
    std::uint64_t customers = warehouses * districts_per_warehouse *
                              static_cast<std::uint64_t>(scale_.customers_per_district);
    std::uint64_t lines = 0;
    switch (table) {
        case Table::warehouse:
            return warehouses;
        case Table::district:
            return warehouses * districts_per_warehouse;
        case Table::customer:
        case Table::history:
        case Table::orders:
            return customers;
        case Table::new_order:
            return warehouses * districts_per_warehouse *
                   static_cast<std::uint64_t>(scale_.new_orders_per_district);
        case Table::order_line:
            for (int w = 1; w <= scale_.warehouses; ++w)
                for (int d = 1; d <= districts_per_warehouse; ++d)
                    for (int o = 1; o <= scale_.customers_per_district; ++o)
                        lines += static_cast<std::uint64_t>(line_count(w, d, o));
            return lines;
        case Table::stock:
            return warehouses * static_cast<std::uint64_t>(scale_.items);
        case Table::item:
            return static_cast<std::uint64_t>(scale_.items);
    }
    return 0;
}

void Population::chunk(Table table, std::size_t n, std::string& out) const {
    auto index = static_cast<int>(n);
    int w = index / districts_per_warehouse + 1;
    int d = index % districts_per_warehouse + 1;
    int item_chunks = (scale_.items + items_per_chunk - 1) / items_per_chunk;
    int first = index % item_chunks * items_per_chunk + 1;
    int last = std::min(first + items_per_chunk - 1, scale_.items);
    switch (table) {
        case Table::warehouse:
            return warehouse(index + 1, out);
        case Table::district:
            return district(index + 1, out);
        case Table::history:
            return history(index + 1, out);
        case Table::customer:
            return customer(w, d, out);
        case Table::orders:
            return orders(w, d, out);
        case Table::new_order:
            return new_order(w, d, out);
        case Table::order_line:
            return order_line(w, d, out);
        case Table::stock:
            return stock(index / item_chunks + 1, first, last, out);
        case Table::item:
            return item(first, last, out);
    }
}

void Population::warehouse(int w, std::string& out) const {
    Prng random = generator(seed_, "warehouse", static_cast<std::uint64_t>(w));
    put(out, "{}\t", w);
    append_text(random, 6, 10, out);
    out.push_back('\t');
    append_address(random, out);
    append_rate(random, 2000, out);
    // The sum of the initial history (consistency condition 8).
    put(out, "\t{}.00\n", 10 * districts_per_warehouse * scale_.customers_per_district);
}

void Population::district(int w, std::string& out) const {
    Prng random = generator(seed_, "district", static_cast<std::uint64_t>(w));
    for (int d = 1; d <= districts_per_warehouse; ++d) {
        put(out, "{}\t{}\t", w, d);
        append_text(random, 6, 10, out);
        out.push_back('\t');
        append_address(random, out);
        append_rate(random, 2000, out);
        put(out, "\t{}.00\t{}\n", 10 * scale_.customers_per_district,
            scale_.customers_per_district + 1);
    }
}

void Population::customer(int w, int d, std::string& out) const {
    Prng random =
        generator(seed_, "customer", static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(d));
    for (int c = 1; c <= scale_.customers_per_district; ++c) {
        int name = c <= scale_.named_customers()
                       ? c - 1
                       : nurand(random, 255, c_last_load, 0, scale_.named_customers() - 1);
        put(out, "{}\t{}\t{}\t", w, d, c);
        append_text(random, 8, 16, out);
        put(out, "\tOE\t{}\t", last_name(name));
        append_address(random, out);
        append_digits(random, 16, out);
        put(out, "\t{}\t{}\t50000.00\t", genesis_time, random.chance(100) ? "BC" : "GC");
        append_rate(random, 5000, out);
        out.append("\t-10.00\t10.00\t1\t0\t");
        append_text(random, 300, 500, out);
        out.push_back('\n');
    }
}

void Population::history(int w, std::string& out) const {
    Prng random = generator(seed_, "history", static_cast<std::uint64_t>(w));
    for (int d = 1; d <= districts_per_warehouse; ++d) {
        for (int c = 1; c <= scale_.customers_per_district; ++c) {
            put(out, "{}\t{}\t{}\t{}\t1\t{}\t{}\t10.00\t", w, w, d, c, d, genesis_time);
            append_text(random, 12, 24, out);
            out.push_back('\n');
        }
    }
}

int Population::line_count(int w, int d, int o) const {
    auto district = static_cast<std::uint64_t>(w * districts_per_warehouse + d);
    Prng random(seed_ ^ (district << 32) ^ static_cast<std::uint64_t>(o));
    return uniform(random, 5, 15);
}

void Population::orders(int w, int d, std::string& out) const {
    Prng random =
        generator(seed_, "orders", static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(d));
    std::vector<int> customers = permutation(random, scale_.customers_per_district);
    for (int o = 1; o <= scale_.customers_per_district; ++o) {
        put(out, "{}\t{}\t{}\t{}\t{}\t", w, d, o, customers[size(o - 1)], genesis_time);
        if (o <= scale_.delivered_per_district())
            put(out, "{}", uniform(random, 1, 10));
        else
            out.append("\\N");
        put(out, "\t{}\t1\n", line_count(w, d, o));
    }
}

void Population::new_order(int w, int d, std::string& out) const {
    for (int o = scale_.delivered_per_district() + 1; o <= scale_.customers_per_district; ++o)
        put(out, "{}\t{}\t{}\n", w, d, o);
}

void Population::order_line(int w, int d, std::string& out) const {
    Prng random = generator(seed_, "order_line", static_cast<std::uint64_t>(w),
                            static_cast<std::uint64_t>(d));
    for (int o = 1; o <= scale_.customers_per_district; ++o) {
        bool delivered = o <= scale_.delivered_per_district();
        int lines = line_count(w, d, o);
        for (int number = 1; number <= lines; ++number) {
            put(out, "{}\t{}\t{}\t{}\t{}\t{}\t", w, d, o, number, uniform(random, 1, scale_.items),
                w);
            put(out, "{}\t5\t", delivered ? genesis_time : "\\N");
            append_cents(delivered ? 0 : uniform(random, 1, 999999), out);
            out.push_back('\t');
            append_text(random, 24, 24, out);
            out.push_back('\n');
        }
    }
}

void Population::stock(int w, int first, int last, std::string& out) const {
    Prng random =
        generator(seed_, "stock", static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(first));
    for (int i = first; i <= last; ++i) {
        put(out, "{}\t{}\t{}\t", w, i, uniform(random, 10, 100));
        for (int d = 0; d < districts_per_warehouse; ++d) {
            append_text(random, 24, 24, out);
            out.push_back('\t');
        }
        out.append("0\t0\t0\t");
        append_data(random, 26, 50, out);
        out.push_back('\n');
    }
}

void Population::item(int first, int last, std::string& out) const {
    Prng random = generator(seed_, "item", static_cast<std::uint64_t>(first));
    for (int i = first; i <= last; ++i) {
        put(out, "{}\t{}\t", i, uniform(random, 1, 10000));
        append_text(random, 14, 24, out);
        out.push_back('\t');
        append_cents(uniform(random, 100, 10000), out);
        out.push_back('\t');
        append_data(random, 26, 50, out);
        out.push_back('\n');
    }
}

}  // namespace bft::tpcc
