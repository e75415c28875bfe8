#include "statements.hpp"

#include "population.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace bft::tpcc {

namespace {

constexpr unsigned unused_item = 31001;
constexpr unsigned no_such_customer = 31002;

std::int64_t integer(const bftnode::Value& value) {
    return std::get<std::int64_t>(value.data);
}
const std::string& text(const bftnode::Value& value) {
    return std::get<std::string>(value.data);
}

std::int64_t integer(const std::optional<std::string>& field) {
    std::int64_t value = 0;
    if (field) std::from_chars(field->data(), field->data() + field->size(), value);
    return value;
}

/// "12.34" as 1234.
std::int64_t cents(const std::string& decimal) {
    std::string digits = decimal;
    std::erase(digits, '.');
    return integer(std::optional(digits));
}
double number(const std::optional<std::string>& field) {
    return field ? std::stod(*field) : 0;
}
std::string decimal(std::int64_t cents) {
    return fmt::format("{}.{:02}", cents / 100, cents % 100);
}

bftnode::Row answer_row(const TextRow& row) {
    bftnode::Row out;
    for (const auto& field : row)
        out.push_back(field ? bftnode::Value(*field) : bftnode::Value(nullptr));
    return out;
}
bftnode::Rows answer_rows(const TextRows& rows) {
    bftnode::Rows out;
    for (const TextRow& row : rows) out.push_back(answer_row(row));
    return out;
}

/// "(?,?),(?,?)" and the like.
std::string repeated(std::string_view what, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) {
        if (i > 0) out.push_back(',');
        out += what;
    }
    return out;
}

bool original(const std::optional<std::string>& data) {
    return data && data->find("ORIGINAL") != std::string::npos;
}

}  // namespace

Error Statements::aborted(unsigned code) {
    abort_ = ServerError{code, "45000", "aborted by the application"};
    return error(Errc::refused, abort_->text);
}

Result<TextRows> Statements::query(const std::string& sql, const std::vector<Param>& params) {
    if (prepared_) {
        auto found = ready_.find(sql);
        if (found == ready_.end()) {
            auto made = session_.prepare(sql);
            if (!made) return made.error();
            found = ready_.emplace(sql, std::move(*made)).first;
        }
        return session_.rows(found->second, params);
    }
    std::string filled;
    auto param = params.begin();
    for (char c : sql) {
        if (c != '?') {
            filled.push_back(c);
        } else if (const auto* number = std::get_if<std::int64_t>(&*param++)) {
            filled += std::to_string(*number);
        } else {
            filled += session_.quoted(std::get<std::string>(*std::prev(param)));
        }
    }
    return session_.rows(filled);
}

Result<void> Statements::execute(const std::string& sql, const std::vector<Param>& params) {
    auto done = query(sql, params);
    if (!done) return done.error();
    return {};
}

Result<TextRow> Statements::one(const std::string& sql, const std::vector<Param>& params) {
    auto rows = query(sql, params);
    if (!rows) return rows.error();
    if (rows->size() != 1) return error(Errc::internal, "not one row: " + sql);
    return std::move(rows->front());
}

Result<void> Statements::run(std::string_view procedure, const std::vector<bftnode::Value>& args,
                             std::vector<bftnode::Rows>& answer) {
    using Step = Result<void> (Statements::*)(const std::vector<bftnode::Value>&,
                                              std::vector<bftnode::Rows>&);
    static const std::map<std::string_view, Step> steps = {
        {"new_order", &Statements::new_order},
        {"payment", &Statements::payment},
        {"order_status", &Statements::order_status},
        {"delivery", &Statements::delivery},
        {"stock_level", &Statements::stock_level}};
    abort_.reset();
    if (auto done = session_.run("BEGIN"); !done) return done;
    if (auto done = (this->*steps.at(procedure))(args, answer); !done) return done;
    return session_.run("COMMIT");
}

Result<void> Statements::items(std::vector<Line>& lines) {
    std::vector<Param> ids;
    for (const Line& line : lines) ids.emplace_back(line.item);
    auto rows = query("SELECT i_id, i_name, i_price, i_data FROM item WHERE i_id IN (" +
                          repeated("?", ids.size()) + ")",
                      ids);
    if (!rows) return rows.error();
    std::map<std::int64_t, const TextRow*> by_id;
    for (const TextRow& row : *rows) by_id[integer(row[0])] = &row;
    for (Line& line : lines) {
        auto found = by_id.find(line.item);
        if (found == by_id.end()) return aborted(unused_item);
        line.item_row = *found->second;
        line.amount_cents = line.quantity * cents(*line.item_row[2]);
    }
    return {};
}

Result<void> Statements::stock(std::vector<Line>& lines, std::int64_t warehouse,
                               std::int64_t district) {
    // Warehouse by warehouse and sorted, so that two orders lock rows in the same sequence.
    std::map<std::int64_t, std::set<std::int64_t>> wanted;
    for (const Line& line : lines) wanted[line.supply].insert(line.item);
    std::map<std::pair<std::int64_t, std::int64_t>, TextRow> found;
    for (const auto& [supply, ids] : wanted) {
        std::vector<Param> params = {supply};
        params.insert(params.end(), ids.begin(), ids.end());
        auto rows = query(fmt::format("SELECT s_i_id, s_quantity, s_data, s_dist_{:02} FROM stock "
                                      "WHERE s_w_id = ? AND s_i_id IN ({}) FOR UPDATE",
                                      district, repeated("?", ids.size())),
                          params);
        if (!rows) return rows.error();
        for (TextRow& row : *rows) found[{supply, integer(row[0])}] = std::move(row);
    }
    for (Line& line : lines) {
        TextRow& row = found[{line.supply, line.item}];
        if (row.empty()) return error(Errc::internal, "an item without stock");
        line.left = integer(row[1]) - line.quantity;
        if (line.left < 10) line.left += 91;
        row[1] = std::to_string(line.left);
        line.stock_row = row;
        auto done = execute(
            "UPDATE stock SET s_quantity = ?, s_ytd = s_ytd + ?, s_order_cnt = s_order_cnt + 1, "
            "s_remote_cnt = s_remote_cnt + ? WHERE s_w_id = ? AND s_i_id = ?",
            {line.left, line.quantity, std::int64_t{line.supply != warehouse}, line.supply,
             line.item});
        if (!done) return done;
    }
    return {};
}

Result<void> Statements::order_lines(const std::vector<Line>& lines, std::int64_t warehouse,
                                     std::int64_t district, std::int64_t order) {
    std::vector<Param> values;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const Line& line = lines[i];
        values.insert(values.end(), {warehouse, district, order, static_cast<std::int64_t>(i + 1),
                                     line.item, line.supply, line.quantity,
                                     decimal(line.amount_cents), line.stock_row[3].value_or("")});
    }
    return execute(
        "INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, "
        "ol_quantity, ol_amount, ol_dist_info) VALUES " +
            repeated("(?, ?, ?, ?, ?, ?, ?, ?, ?)", lines.size()),
        values);
}

Result<void> Statements::new_order(const std::vector<bftnode::Value>& args,
                                   std::vector<bftnode::Rows>& answer) {
    const std::int64_t w = integer(args[0]), d = integer(args[1]), c = integer(args[2]);
    std::vector<Line> lines;
    bool all_local = true;
    for (const bftnode::Row& row : args[3].rows()) {
        Line& line = lines.emplace_back();
        line.item = integer(row[0]);
        line.supply = integer(row[1]);
        line.quantity = integer(row[2]);
        all_local &= line.supply == w;
    }
    auto district =
        one("SELECT d_next_o_id, d_tax FROM district WHERE d_w_id = ? AND d_id = ? "
            "FOR UPDATE",
            {w, d});
    if (!district) return district.error();
    const std::int64_t order = integer((*district)[0]);
    auto warehouse = one("SELECT w_tax FROM warehouse WHERE w_id = ?", {w});
    if (!warehouse) return warehouse.error();
    auto buyer =
        one("SELECT c_last, c_credit, c_discount FROM customer "
            "WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?",
            {w, d, c});
    if (!buyer) return buyer.error();

    auto done = execute(
        "UPDATE district SET d_next_o_id = d_next_o_id + 1 "
        "WHERE d_w_id = ? AND d_id = ?",
        {w, d});
    if (done)
        done = execute(
            "INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_ol_cnt, "
            "o_all_local) VALUES (?, ?, ?, ?, NOW(), ?, ?)",
            {w, d, order, c, static_cast<std::int64_t>(lines.size()), std::int64_t{all_local}});
    if (done)
        done = execute("INSERT INTO new_order (no_w_id, no_d_id, no_o_id) VALUES (?, ?, ?)",
                       {w, d, order});
    if (done) done = items(lines);
    if (done) done = stock(lines, w, d);
    if (done) done = order_lines(lines, w, d, order);
    if (!done) return done;

    double sum = 0;
    bftnode::Rows shown;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const Line& line = lines[i];
        sum += static_cast<double>(line.amount_cents) / 100;
        bool brand = original(line.item_row[3]) && original(line.stock_row[2]);
        shown.push_back({static_cast<std::int64_t>(i + 1), *line.item_row[1], line.left,
                         brand ? "B" : "G", *line.item_row[2], decimal(line.amount_cents)});
    }
    double total =
        sum * (1 - number((*buyer)[2])) * (1 + number((*warehouse)[0]) + number((*district)[1]));
    bftnode::Row head = {order, static_cast<std::int64_t>(lines.size())};
    for (const auto& field : *buyer) head.emplace_back(*field);
    for (const auto& tax : {(*warehouse)[0], (*district)[1]}) head.emplace_back(*tax);
    head.emplace_back(fmt::format("{:.2f}", total));
    answer = {{head}, std::move(shown)};
    return {};
}

Result<std::int64_t> Statements::customer(std::int64_t warehouse, std::int64_t district,
                                          std::int64_t id, const std::string& last) {
    if (id != 0) return id;
    auto rows = query(
        "SELECT c_id FROM customer WHERE c_w_id = ? AND c_d_id = ? AND c_last = ? "
        "ORDER BY c_first, c_id",
        {warehouse, district, last});
    if (!rows) return rows.error();
    if (rows->empty()) return aborted(no_such_customer);
    return integer((*rows)[(rows->size() + 1) / 2 - 1][0]);
}

Result<void> Statements::payment(const std::vector<bftnode::Value>& args,
                                 std::vector<bftnode::Rows>& answer) {
    const std::int64_t w = integer(args[0]), d = integer(args[1]), c_w = integer(args[2]),
                       c_d = integer(args[3]);
    const std::string& amount = text(args[6]);
    auto done = execute("UPDATE warehouse SET w_ytd = w_ytd + ? WHERE w_id = ?", {amount, w});
    if (!done) return done;
    auto warehouse =
        one("SELECT w_name, w_street_1, w_street_2, w_city, w_state, w_zip "
            "FROM warehouse WHERE w_id = ?",
            {w});
    if (!warehouse) return warehouse.error();
    done = execute("UPDATE district SET d_ytd = d_ytd + ? WHERE d_w_id = ? AND d_id = ?",
                   {amount, w, d});
    if (!done) return done;
    auto district =
        one("SELECT d_name, d_street_1, d_street_2, d_city, d_state, d_zip "
            "FROM district WHERE d_w_id = ? AND d_id = ?",
            {w, d});
    if (!district) return district.error();
    auto c = customer(c_w, c_d, integer(args[4]), text(args[5]));
    if (!c) return c.error();
    auto payer =
        one("SELECT c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, "
            "c_zip, c_phone, c_since, c_credit, c_credit_lim, c_discount, c_balance - ?, "
            "c_payment_cnt + 1, c_data FROM customer "
            "WHERE c_w_id = ? AND c_d_id = ? AND c_id = ? FOR UPDATE",
            {amount, c_w, c_d, *c});
    if (!payer) return payer.error();
    const std::int64_t payments = integer((*payer)[14]);
    const std::string update =
        "UPDATE customer SET c_balance = c_balance - ?, "
        "c_ytd_payment = c_ytd_payment + ?, c_payment_cnt = ?";
    const std::string which = " WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?";
    std::string data;
    if ((*payer)[10] == "BC") {
        data = fmt::format("{} {} {} {} {} {}|{}", *c, c_d, c_w, d, w, amount, *(*payer)[15]);
        data.resize(std::min<std::size_t>(data.size(), 500));
        done = execute(update + ", c_data = ?" + which,
                       {amount, amount, payments, data, c_w, c_d, *c});
    } else {
        done = execute(update + which, {amount, amount, payments, c_w, c_d, *c});
    }
    if (done)
        done = execute(
            "INSERT INTO history (h_w_id, h_c_w_id, h_c_d_id, h_c_id, h_payment_cnt, "
            "h_d_id, h_date, h_amount, h_data) VALUES (?, ?, ?, ?, ?, ?, NOW(), ?, ?)",
            {w, c_w, c_d, *c, payments, d, amount, *(*warehouse)[0] + "    " + *(*district)[0]});
    if (!done) return done;
    payer->back() = data.substr(0, 200);
    bftnode::Row row = answer_row(*warehouse);
    for (const TextRow& more : {*district, *payer})
        for (const auto& field : more) row.emplace_back(field.value_or(""));
    answer = {{row}};
    return {};
}

Result<void> Statements::order_status(const std::vector<bftnode::Value>& args,
                                      std::vector<bftnode::Rows>& answer) {
    const std::int64_t w = integer(args[0]), d = integer(args[1]);
    auto c = customer(w, d, integer(args[2]), text(args[3]));
    if (!c) return c.error();
    auto buyer =
        one("SELECT c_id, c_first, c_middle, c_last, c_balance FROM customer "
            "WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?",
            {w, d, *c});
    if (!buyer) return buyer.error();
    auto order =
        one("SELECT o_id, o_entry_d, o_carrier_id FROM orders WHERE o_w_id = ? AND "
            "o_d_id = ? AND o_c_id = ? ORDER BY o_id DESC LIMIT 1",
            {w, d, *c});
    if (!order) return order.error();
    auto lines = query(
        "SELECT ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, "
        "ol_delivery_d FROM order_line WHERE ol_w_id = ? AND ol_d_id = ? AND "
        "ol_o_id = ? ORDER BY ol_number",
        {w, d, integer(order->front())});
    if (!lines) return lines.error();
    bftnode::Row head = answer_row(*buyer);
    for (bftnode::Value& field : answer_row(*order)) head.push_back(std::move(field));
    answer = {{head}, answer_rows(*lines)};
    return {};
}

Result<void> Statements::delivery(const std::vector<bftnode::Value>& args,
                                  std::vector<bftnode::Rows>& answer) {
    const std::int64_t w = integer(args[0]), carrier = integer(args[1]);
    bftnode::Rows delivered;
    for (std::int64_t d = 1; d <= districts_per_warehouse; ++d) {
        auto oldest = query(
            "SELECT no_o_id FROM new_order WHERE no_w_id = ? AND no_d_id = ? "
            "ORDER BY no_o_id LIMIT 1 FOR UPDATE",
            {w, d});
        if (!oldest) return oldest.error();
        if (oldest->empty()) continue;
        const std::int64_t order = integer(oldest->front()[0]);
        auto done = execute(
            "DELETE FROM new_order WHERE no_w_id = ? AND no_d_id = ? AND "
            "no_o_id = ?",
            {w, d, order});
        if (!done) return done;
        auto buyer = one("SELECT o_c_id FROM orders WHERE o_w_id = ? AND o_d_id = ? AND o_id = ?",
                         {w, d, order});
        if (!buyer) return buyer.error();
        done = execute(
            "UPDATE orders SET o_carrier_id = ? WHERE o_w_id = ? AND o_d_id = ? AND "
            "o_id = ?",
            {carrier, w, d, order});
        if (done)
            done = execute(
                "UPDATE order_line SET ol_delivery_d = NOW() WHERE ol_w_id = ? AND "
                "ol_d_id = ? AND ol_o_id = ?",
                {w, d, order});
        if (!done) return done;
        auto sum =
            one("SELECT SUM(ol_amount) FROM order_line WHERE ol_w_id = ? AND ol_d_id = ? "
                "AND ol_o_id = ?",
                {w, d, order});
        if (!sum) return sum.error();
        done = execute(
            "UPDATE customer SET c_balance = c_balance + ?, c_delivery_cnt = "
            "c_delivery_cnt + 1 WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?",
            {sum->front().value_or("0"), w, d, integer(buyer->front())});
        if (!done) return done;
        delivered.push_back({d, order});
    }
    answer = {std::move(delivered)};
    return {};
}

Result<void> Statements::stock_level(const std::vector<bftnode::Value>& args,
                                     std::vector<bftnode::Rows>& answer) {
    const std::int64_t w = integer(args[0]), d = integer(args[1]), threshold = integer(args[2]);
    auto district = one("SELECT d_next_o_id FROM district WHERE d_w_id = ? AND d_id = ?", {w, d});
    if (!district) return district.error();
    const std::int64_t next = integer(district->front());
    auto low =
        one("SELECT COUNT(DISTINCT s_i_id) FROM order_line "
            "STRAIGHT_JOIN stock ON s_w_id = ? AND s_i_id = ol_i_id "
            "WHERE ol_w_id = ? AND ol_d_id = ? AND ol_o_id BETWEEN ? AND ? "
            "AND s_quantity < ?",
            {w, w, d, next - 20, next - 1, threshold});
    if (!low) return low.error();
    answer = {{answer_row(*low)}};
    return {};
}

}  // namespace bft::tpcc
