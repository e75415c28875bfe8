// What a voter has executed lately: answers retransmitted items without asking the database.
#pragma once

#include "consensus/messages.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

namespace bft::consensus {

/// Bounded in slots and in bytes; the oldest slots go first.
class AnswerMemory {
public:
    AnswerMemory(std::size_t slots_max, std::uint64_t bytes_max)
        : slots_max_(slots_max), bytes_max_(bytes_max) {}

    struct Answer {
        Digest item;  ///< item_digest() of what was executed
        ItemResult result;
        std::uint64_t voters = 0;  ///< positions that have asked for it
    };

    void keep(GroupId group, Slot slot, Answer answer) {
        auto [place, fresh] = slots_.try_emplace({group, slot});
        if (fresh) order_.emplace_back(group, slot);
        place->second.bytes += cost(answer);
        bytes_ += cost(answer);
        place->second.items.insert_or_assign(answer.result.index, std::move(answer));
        while (order_.size() > slots_max_ || (bytes_ > bytes_max_ && order_.size() > 1)) {
            auto oldest = slots_.find(order_.front());
            bytes_ -= oldest->second.bytes;
            slots_.erase(oldest);
            order_.pop_front();
        }
    }

    /// Null when forgotten or never known.
    [[nodiscard]] Answer* find(GroupId group, Slot slot, std::uint32_t index) {
        auto place = slots_.find({group, slot});
        if (place == slots_.end()) return nullptr;
        auto item = place->second.items.find(index);
        return item == place->second.items.end() ? nullptr : &item->second;
    }

    [[nodiscard]] std::size_t slots() const { return slots_.size(); }

private:
    struct SlotAnswers {
        std::map<std::uint32_t, Answer> items;
        std::uint64_t bytes = 0;
    };

    static std::uint64_t cost(const Answer& answer) {
        return sizeof(Answer) + answer.result.result.size();
    }

    std::size_t slots_max_;
    std::uint64_t bytes_max_;
    std::uint64_t bytes_ = 0;
    std::map<std::pair<GroupId, Slot>, SlotAnswers> slots_;
    std::deque<std::pair<GroupId, Slot>> order_;
};

}  // namespace bft::consensus
