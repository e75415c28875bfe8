// Where a view begins, judged from VIEW-CHANGEs alone: who must be heard when the chain ends with a
// change of the members (CF6).
#include "consensus/select.hpp"

#include "consensus/chain.hpp"
#include "consensus/config_change.hpp"
#include "fixture.hpp"

#include <gtest/gtest.h>

namespace bft::consensus::test {
namespace {

// Slot 1 is a CONFIG by which group 1's seat 1 goes from position 1 to position 4. All who leave
// their view have committed it, and none shows its barrier.
class Joint : public ::testing::Test {
protected:
    Joint() {
        const Configuration now = configuration_of(m_);
        ConfigChange change{now.version.next(), {}, {}};
        change.hosts.push_back({HostId(77), {"host77", "host77:7000", Bytes(32, 77)}});
        change.replacements.push_back(
            {GroupId(1), Position(1), {HostId(77), UsigId(901)}, Bytes{8}});
        change.held = held_by(now, change);
        auto next = apply(now, change);
        if (!next) throw std::logic_error(next.error().what);
        next_ = *next;
        config_ = make_config(m_, change);
        auto header = std::make_shared<Header>();
        header->slot = Slot(1);
        header->previous = genesis_header_digest(m_.cluster);
        header->ts_ms = 1;
        header->entries.push_back({config_->id, config_->parts, EntryKind::config, config_->rd});
        hd_ = header_digest(*header);
        headers_.keep(hd_, header);
    }

    ViewChangePtr change_of(std::uint32_t group, std::uint32_t position) {
        ViewChange change;
        change.group = GroupId(group);
        change.position = Position(position);
        change.view = View(1);
        change.last = {View(0), Slot(1), hd_, {}};
        return std::make_shared<const ViewChange>(std::move(change));
    }

    Selection selected(const std::vector<std::uint32_t>& of_group_1) {
        std::vector<ViewChangePtr> set{change_of(0, 0), change_of(0, 1)};
        for (std::uint32_t position : of_group_1) set.push_back(change_of(1, position));
        return select(m_, ConfigHistory(m_), set, headers_,
                      [&](const EntryHeader&, const Configuration&) {
                          return Coming{true, next_};
                      });
    }

    Membership m_ = small_cluster(2);
    Configuration next_;
    Body config_;
    Digest hd_;
    HeaderStore headers_;
};

// Positions 2 and 4 may have committed beyond the barrier, which 0 and 1 have not heard of: none of
// what they did is known to these two, and position 1 has no word in it any more.
TEST_F(Joint, WhoIsReplacedDoesNotSpeakForWhoComes) {
    Selection selection = selected({0, 1});
    ASSERT_TRUE(selection.selected);
    ASSERT_TRUE(selection.selected->config) << "kept, it needs the members that it makes";
    EXPECT_TRUE(selection.selected->config_body);
    EXPECT_FALSE(selection.selected->joint_quorum);
}

TEST_F(Joint, FPlusOneOfBothAreEnough) {
    Selection selection = selected({0, 2});
    ASSERT_TRUE(selection.selected);
    EXPECT_TRUE(selection.selected->joint_quorum);
    selection = selected({0, 1, 2});
    ASSERT_TRUE(selection.selected);
    EXPECT_TRUE(selection.selected->joint_quorum);
}

TEST_F(Joint, WhoComesDoesNotSpeakForWhoWasThere) {
    EXPECT_FALSE(selected({0, 4}).enough) << "the members before it decide what lies up to it";
    EXPECT_TRUE(selected({0, 1, 4}).selected->joint_quorum);
}

}  // namespace
}  // namespace bft::consensus::test
