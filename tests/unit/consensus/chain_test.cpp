#include "consensus/chain.hpp"

#include "consensus/client_window.hpp"
#include "consensus/header_store.hpp"
#include "consensus/minbft/request_pool.hpp"
#include "consensus/select.hpp"
#include "fixture.hpp"

#include <gtest/gtest.h>

namespace bft::consensus {
namespace {

using namespace test;

TEST(Chain, DerivesSequenceNumbersForEveryPartitionOfEveryGroup) {
    Membership m = small_cluster(2);
    Chain chain(m, GroupId(0));  // partitions 1 and 3
    auto both = make_request(m, 1, {PartitionId(1), PartitionId(2)});
    auto other = make_request(m, 1, {PartitionId(2)});
    auto last = make_request(m, 2, {PartitionId(1), PartitionId(2)});
    const Link& link = chain.append(make_prepare(
        m, Slot(1), chain.tip_digest(), {entry_of(both), entry_of(other), entry_of(last)}, 100));
    ASSERT_EQ(link.own.size(), 2u);  // the middle one belongs to the other group
    EXPECT_EQ(link.own[0].seqs,
              (std::vector<PartitionSeq>{{PartitionId(1), Seq(1)}, {PartitionId(2), Seq(1)}}));
    EXPECT_EQ(link.own[1].seqs,
              (std::vector<PartitionSeq>{{PartitionId(1), Seq(2)}, {PartitionId(2), Seq(3)}}));
    EXPECT_EQ(chain.next_seqs().at(PartitionId(2)), Seq(4));
}

TEST(Chain, RefusesInvalidHeaders) {
    Membership m = small_cluster();
    Chain chain(m, GroupId(0));
    chain.append(make_prepare(m, Slot(1), chain.tip_digest(), {}, 100));
    auto header = [&](Slot slot, const Digest& previous, std::vector<EntryHeader> entries,
                      UnixMillis ts) {
        return Header{slot, previous, ts, std::move(entries)};
    };
    Digest tip = chain.tip_digest();
    EntryHeader good = entry_of(make_request(m, 1));
    EXPECT_FALSE(chain.why_invalid(header(Slot(2), tip, {good}, 101)));
    EXPECT_TRUE(chain.why_invalid(header(Slot(3), tip, {good}, 101)));
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), Digest{}, {good}, 101)));
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {good}, 100)));

    EntryHeader bad = good;
    bad.parts = {};
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {bad}, 101)));
    bad.parts = {PartitionId(2)};  // the home is 1
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {bad}, 101)));
    bad.parts = {PartitionId(1), PartitionId(1)};
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {bad}, 101)));
    bad.parts = {PartitionId(1), PartitionId(99)};
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {bad}, 101)));
    bad.parts = {PartitionId(0), PartitionId(1)};
    EXPECT_TRUE(chain.why_invalid(header(Slot(2), tip, {bad}, 101)));
}

TEST(Chain, ForgetsButKeepsTheDigestBelow) {
    Membership m = small_cluster();
    Chain chain(m, GroupId(0));
    for (std::uint64_t b = 1; b <= 5; ++b)
        chain.append(make_prepare(m, Slot(b), chain.tip_digest(), {}, b));
    Digest third = *chain.digest_at(Slot(3));
    chain.forget_up_to(Slot(3));
    EXPECT_EQ(chain.at(Slot(3)), nullptr);
    EXPECT_EQ(chain.digest_at(Slot(3)), third);
    EXPECT_FALSE(chain.digest_at(Slot(2)));
    ASSERT_NE(chain.at(Slot(4)), nullptr);
    EXPECT_EQ(chain.at(Slot(4))->prepare.slot, Slot(4));
}

TEST(ClientWindow, TakesEachOnceAndMovesWithAckLow) {
    ClientWindow w;
    EXPECT_TRUE(w.insert(ClientSeq(5), ClientSeq(1)));
    EXPECT_FALSE(w.insert(ClientSeq(5), ClientSeq(1)));
    EXPECT_TRUE(w.insert(ClientSeq(3), ClientSeq(1)));
    EXPECT_TRUE(w.contains(ClientSeq(0)));
    EXPECT_FALSE(w.contains(ClientSeq(4)));
    EXPECT_TRUE(w.insert(ClientSeq(300), ClientSeq(100)));
    EXPECT_TRUE(w.contains(ClientSeq(4)));  // below the window: finished, says the client
    EXPECT_FALSE(w.insert(ClientSeq(99), ClientSeq(50)));  // ack_low never goes back
    EXPECT_EQ(w.low(), ClientSeq(100));
}

TEST(ClientWindow, AJumpClearsIt) {
    ClientWindow w;
    EXPECT_TRUE(w.insert(ClientSeq(1), ClientSeq(1)));
    ClientSeq far(std::uint64_t{1} << 60);
    EXPECT_TRUE(w.insert(far, far));
    EXPECT_FALSE(w.insert(far, far));
    EXPECT_EQ(w.bits().count(), 1u);
}

TEST(Chain, CheckpointSlotsCarryAnEntryForAllPartitions) {
    Membership m = small_cluster(2);
    m.checkpoint_slots = 2;
    Chain mine(m, GroupId(0)), other(m, GroupId(1));
    auto extend = [&](std::vector<PartitionId> parts) {
        for (Chain* chain : {&mine, &other}) {
            auto header = std::make_shared<Header>();
            header->slot = chain->tip().next();
            header->previous = chain->tip_digest();
            header->ts_ms = chain->tip_ts_ms() + 1;
            header->entries.push_back(
                {{ClientId(1), parts.front(), ClientSeq(1)}, parts, EntryKind::transaction, {}});
            ASSERT_FALSE(chain->why_invalid(*header));
            chain->append({View(0), header->slot, header_digest(*header), {}, header});
        }
    };
    extend({PartitionId(1), PartitionId(2)});
    auto before = mine.next_seqs();
    extend({PartitionId(2)});
    EXPECT_TRUE(other.at(Slot(2))->checkpoint.empty()) << "not the owner of partition 0";
    EXPECT_TRUE(mine.at(Slot(1))->checkpoint.empty());
    EXPECT_EQ(mine.at(Slot(2))->checkpoint, (std::vector<PartitionSeq>{{PartitionId(0), Seq(1)},
                                                                       {PartitionId(1), Seq(2)},
                                                                       {PartitionId(2), Seq(3)},
                                                                       {PartitionId(3), Seq(1)},
                                                                       {PartitionId(4), Seq(1)}}));
    EXPECT_EQ(mine.next_seqs(), other.next_seqs());
    EXPECT_EQ(mine.next_seqs().at(PartitionId(2)), Seq(4)) << "after the entry of its own slot";
    EXPECT_EQ(mine.next_seqs_at(Slot(1)), before);
    mine.truncate_to(Slot(1));
    EXPECT_EQ(mine.next_seqs(), before);
}

TEST(RequestPool, IsFairBetweenGroupsAndClients) {
    Membership m = small_cluster(2);
    m.clients[ClientId(2)] = m.clients[ClientId(1)];
    minbft::RequestPool pool(100);
    auto of = [&](std::uint64_t client, std::uint32_t partition, std::uint64_t cseq) {
        auto request = std::make_shared<Request>(*make_request(m, cseq, {PartitionId(partition)}));
        request->id.client = ClientId(client);
        return Body(std::move(request));
    };
    for (std::uint64_t i = 1; i <= 4; ++i) pool.add(GroupId(0), of(1, 1, i));
    pool.add(GroupId(0), of(2, 1, 1));
    pool.add(GroupId(1), of(1, 2, 1));
    EXPECT_EQ(pool.add(GroupId(1), of(1, 2, 1)), minbft::RequestPool::Added::known);

    std::map<std::uint64_t, int> first_three;
    std::map<std::uint32_t, int> homes;
    for (int i = 0; i < 3; ++i) {
        Body body = *pool.take([](GroupId) { return true; });
        ++first_three[body->id.client.value];
        ++homes[body->id.home.value];
    }
    EXPECT_EQ(homes[2], 1);        // the other group had its turn
    EXPECT_EQ(first_three[2], 1);  // and so had the second client
    EXPECT_EQ(pool.size(), 3u);
    EXPECT_FALSE(pool.take([](GroupId) { return false; }));
}

TEST(RequestPool, BoundsAClient) {
    Membership m = small_cluster();
    minbft::RequestPool pool(2);
    EXPECT_EQ(pool.add(GroupId(0), make_request(m, 1)), minbft::RequestPool::Added::yes);
    EXPECT_EQ(pool.add(GroupId(0), make_request(m, 2)), minbft::RequestPool::Added::yes);
    EXPECT_EQ(pool.add(GroupId(0), make_request(m, 3)), minbft::RequestPool::Added::full);
}

std::vector<std::pair<Digest, HeaderPtr>> chain_of(std::uint64_t length, UnixMillis ts_ms) {
    std::vector<std::pair<Digest, HeaderPtr>> chain;
    Digest previous;
    for (std::uint64_t slot = 1; slot <= length; ++slot) {
        auto header = std::make_shared<const Header>(
            Header{Slot(slot), previous, ts_ms + static_cast<UnixMillis>(slot), {}});
        previous = header_digest(*header);
        chain.emplace_back(previous, header);
    }
    return chain;
}

// Whoever lacks a chain fetches it from the last header down, in pieces. A store with too little
// room drops the first piece when the last one comes, and a view never begins.
TEST(HeaderStore, HasRoomForAllPiecesOfTheChainsThatAreJudged) {
    constexpr std::uint64_t piece = 24;
    auto ahead = chain_of(200, 0), behind = chain_of(130, 1000);
    auto change = [](std::uint64_t stable, const auto& chain) {
        auto made = std::make_shared<ViewChange>();
        made->stable = StableCert{{}, Slot(stable), {}, 0, {}, {}};
        made->last = {View(1), chain.back().second->slot, chain.back().first, {}};
        return ViewChangePtr(made);
    };
    HeaderStore store(0);
    store.reserve(headers_needed({change(200, ahead), change(103, behind)}, piece));
    auto fetch = [&](const auto& chain, Slot from) {
        Slot to = chain.back().second->slot;
        auto found = store.segment(from, to, chain.back().first);
        for (int questions = 0; found.missing && questions < 20; ++questions) {
            for (std::uint64_t i = 0; i < piece; ++i) {
                const auto& [hd, header] = chain[found.missing->to.value - 1 - i];
                store.keep(hd, header);
            }
            found = store.segment(from, to, chain.back().first);
        }
        return found.segment.has_value();
    };
    EXPECT_TRUE(fetch(behind, Slot(103)));
    EXPECT_TRUE(fetch(ahead, Slot(103)));
    EXPECT_TRUE(store.segment(Slot(103), Slot(130), behind.back().first).segment);
}

// A primary that certifies on and on, in a view that is over, pushed out what was fetched for the
// next one (seed 9087).
TEST(HeaderStore, WhatNobodyAskedForPushesNothingOut) {
    auto wanted = chain_of(40, 0), flood = chain_of(1000, 5000);
    HeaderStore store(8);
    store.reserve(40);
    for (std::size_t i = 0; i < 30; ++i) store.overhear(wanted[i].first, wanted[i].second);
    for (std::size_t i = 0; i < flood.size(); ++i) {
        store.overhear(flood[i].first, flood[i].second);
        if (i % 25 == 0) store.keep(wanted[i / 25].first, wanted[i / 25].second);
    }
    EXPECT_TRUE(store.segment(Slot(0), Slot(40), wanted.back().first).segment);
    EXPECT_NE(store.find(flood.back().first), nullptr);
    EXPECT_EQ(store.find(flood[flood.size() - 9].first), nullptr) << "eight at most";
}

}  // namespace
}  // namespace bft::consensus
