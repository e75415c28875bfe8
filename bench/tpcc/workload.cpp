#include "workload.hpp"

#include "random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bft::tpcc {

Terminal::Terminal(const Scale& scale, std::uint64_t seed, std::size_t number)
    : scale_(scale),
      random_(generator(seed, "terminal", number)),
      warehouse_(static_cast<int>(number % static_cast<std::size_t>(scale.warehouses)) + 1),
      district_(static_cast<int>(number / static_cast<std::size_t>(scale.warehouses) %
                                 districts_per_warehouse) +
                1) {}

int Terminal::uniform_of(int low, int high) {
    return uniform(random_, low, high);
}

Transaction Terminal::draw() {
    if (deck_.empty()) {
        for (std::size_t i = 0; i < cards.size(); ++i)
            deck_.insert(deck_.end(), static_cast<std::size_t>(cards[i]),
                         static_cast<Transaction>(i));
        for (std::size_t i = deck_.size(); i > 1; --i)
            std::swap(deck_[i - 1], deck_[random_.below(i)]);
    }
    Transaction card = deck_.back();
    deck_.pop_back();
    return card;
}

int Terminal::customer_id() {
    return nurand(random_, 1023, c_customer_id, 1, scale_.customers_per_district);
}

std::string Terminal::customer_name() {
    return last_name(nurand(random_, 255, c_last_run, 0, scale_.named_customers() - 1));
}

int Terminal::other_warehouse() {
    int other = uniform_of(1, scale_.warehouses - 1);
    return other < warehouse_ ? other : other + 1;
}

void Terminal::new_order(Request& request) {
    int count = uniform_of(5, 15);
    request.must_abort = random_.chance(10);
    bftnode::Rows lines;
    int customer_district = district();
    int customer = customer_id();
    for (int i = 1; i <= count; ++i) {
        int item = nurand(random_, 8191, c_item_id, 1, scale_.items);
        if (request.must_abort && i == count) item = scale_.items + 1;
        int supply = warehouse_;
        if (scale_.warehouses > 1 && random_.chance(10)) {
            supply = other_warehouse();
            request.multi_partition = true;
        }
        lines.push_back({item, supply, uniform_of(1, 10)});
    }
    request.args = {warehouse_, customer_district, customer, std::move(lines)};
}

void Terminal::payment(Request& request) {
    int own_district = district();
    int customer_warehouse = warehouse_;
    int customer_district = own_district;
    if (scale_.warehouses > 1 && random_.chance(150)) {
        customer_warehouse = other_warehouse();
        customer_district = district();
        request.multi_partition = true;
    }
    bool by_name = random_.chance(600);
    int customer = by_name ? 0 : customer_id();
    std::string name = by_name ? customer_name() : std::string();
    int cents = uniform_of(100, 500000);
    request.args = {warehouse_,
                    own_district,
                    customer_warehouse,
                    customer_district,
                    customer,
                    std::move(name),
                    fmt::format("{}.{:02}", cents / 100, cents % 100)};
}

void Terminal::order_status(Request& request) {
    int of_district = district();
    bool by_name = random_.chance(600);
    int customer = by_name ? 0 : customer_id();
    std::string name = by_name ? customer_name() : std::string();
    request.args = {warehouse_, of_district, customer, std::move(name)};
}

Request Terminal::next() {
    Request request;
    request.transaction = last_ = draw();
    switch (request.transaction) {
        case Transaction::new_order:
            new_order(request);
            break;
        case Transaction::payment:
            payment(request);
            break;
        case Transaction::order_status:
            order_status(request);
            break;
        case Transaction::delivery:
            request.args = {warehouse_, uniform_of(1, 10)};
            break;
        case Transaction::stock_level:
            request.args = {warehouse_, district_, uniform_of(10, 20)};
            break;
    }
    return request;
}

std::chrono::microseconds Terminal::pause() {
    static constexpr std::array<double, transaction_count> keying = {18, 3, 2, 2, 2};
    static constexpr std::array<double, transaction_count> thinking = {12, 12, 10, 5, 5};
    // Negative exponential, cut at ten times the mean (clause 5.2.5.4).
    double r = (static_cast<double>(random_.below(1u << 30)) + 1) / (1u << 30);
    double seconds = keying[place(last_)] + std::min(-std::log(r), 10.0) * thinking[place(last_)];
    return std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

}  // namespace bft::tpcc
