// Rules of the protocol that a test build may take away, one at a time, to see that the tests
// notice
// (-DMUT_x; docs/testing.md). A production build defines none, and every constant here is fixed.
#pragma once

#include "consensus/membership.hpp"

namespace bft::consensus::rules {

#ifdef MUT_cq_f
inline std::uint32_t commit_quorum(const Membership& m) {
    return m.f;
}
#else
/// f+1 COMMITs of one group: one of a correct replica, and one in every view-change quorum.
inline std::uint32_t commit_quorum(const Membership& m) {
    return m.quorum();
}
#endif

#ifdef MUT_vcq_f
inline std::uint32_t view_change_quorum(const Membership& m) {
    return m.f;
}
#else
/// f+1 VIEW-CHANGEs of a group meet every commit quorum of that group.
inline std::uint32_t view_change_quorum(const Membership& m) {
    return m.quorum();
}
#endif

#ifdef MUT_vouch_f
inline std::uint32_t vouch_quorum(const Membership& m) {
    return m.f;
}
#else
/// Of f+1 vouchers one is correct.
inline std::uint32_t vouch_quorum(const Membership& m) {
    return m.quorum();
}
#endif

#ifdef MUT_adopt_f
inline std::uint32_t adoption_quorum(const Membership& m) {
    return m.f;
}
#else
/// A counter is followed from where f+1 members say that they processed it (ST3).
inline std::uint32_t adoption_quorum(const Membership& m) {
    return m.quorum();
}
#endif

#ifdef MUT_one_group
inline constexpr bool every_group = false;
#else
/// VIEW-CHANGEs of every group: what one group committed exists nowhere else (D4).
inline constexpr bool every_group = true;
#endif

#ifdef MUT_null_free
inline constexpr bool nullify_by_claims = false;
#else
/// An entry is nullified only on f+1 no-claims of its group.
inline constexpr bool nullify_by_claims = true;
#endif

#ifdef MUT_prep_equiv
inline constexpr bool rigid_counters = false;
#else
/// The counter of a PREPARE follows from its slot (P7 of section 2.3).
inline constexpr bool rigid_counters = true;
#endif

#ifdef MUT_nv_exec
inline constexpr bool commit_before_delivery = false;
#else
/// Nothing of a NEW-VIEW is delivered before f+1 COMMITs in its view (R10).
inline constexpr bool commit_before_delivery = true;
#endif

#ifdef MUT_vc_nolog
inline constexpr bool vote_log = false;
#else
/// A VIEW-CHANGE shows every message certified since its base (D5).
inline constexpr bool vote_log = true;
#endif

#ifdef MUT_commit_after_vc
inline constexpr bool promises = false;
#else
/// No COMMIT of a view that its sender has left (R7).
inline constexpr bool promises = true;
#endif

#ifdef MUT_nonmono
inline constexpr bool monotone = false;
#else
/// COMMITs increase by (view, to), in the sender's counter order (R7).
inline constexpr bool monotone = true;
#endif

#ifdef MUT_nv_noorder
inline constexpr bool new_view_in_order = false;
#else
/// The first NEW-VIEW of a view by counter is the only one (VC6).
inline constexpr bool new_view_in_order = true;
#endif

#ifdef MUT_null_notsticky
inline constexpr bool sticky_null = false;
#else
/// What an earlier view nullified stays null (VC4).
inline constexpr bool sticky_null = true;
#endif

#ifdef MUT_claim_lvonly
inline constexpr bool claims_of_all_views = false;
#else
/// A VIEW-CHANGE of an older view claims what its chain shares with the chosen one (VC4).
inline constexpr bool claims_of_all_views = true;
#endif

#ifdef MUT_self_base
inline constexpr bool vouched_base = false;
#else
/// A VIEW-CHANGE's log begins at its counter's first value, or where f+1 members vouch (CK4).
inline constexpr bool vouched_base = true;
#endif

#ifdef MUT_no_viewcert
inline constexpr bool view_certs = false;
#else
/// A VIEW-CHANGE speaks of a view only with proof that a correct replica found it valid (D6).
inline constexpr bool view_certs = true;
#endif

#ifdef MUT_timers_run
inline constexpr bool timers_rest = false;
#else
/// Request timers rest while no view is active (VC2, P15 of section 2.3).
inline constexpr bool timers_rest = true;
#endif

#ifdef MUT_null_window
inline constexpr bool null_is_no_delivery = false;
#else
/// What was nullified has not been delivered: its request may be ordered again (VC7).
inline constexpr bool null_is_no_delivery = true;
#endif

#ifdef MUT_voter_f
inline std::uint32_t item_quorum(const Membership& m) {
    return m.f;
}
#else
/// f+1 votes of one group: one of a correct replica, which delivered the item (V2).
inline std::uint32_t item_quorum(const Membership& m) {
    return m.quorum();
}
#endif

#ifdef MUT_voter_first
inline constexpr bool every_partition = false;
#else
/// An item waits until it is next on all its partitions, not on one of them (V2).
inline constexpr bool every_partition = true;
#endif

#ifdef MUT_voter_seq
inline constexpr bool in_sequence = false;
#else
/// A partition's items run in the order of their sequence numbers (V2).
inline constexpr bool in_sequence = true;
#endif

#ifdef MUT_voter_revote
inline constexpr bool first_vote_wins = false;
#else
/// One live vote per position and place (V1).
inline constexpr bool first_vote_wins = true;
#endif

#ifdef MUT_no_barrier
inline constexpr bool barrier_waited_for = false;
#else
/// Nothing is committed beyond a configuration before every group has delivered it (CF3).
inline constexpr bool barrier_waited_for = true;
#endif

#ifdef MUT_barrier_not_shown
inline constexpr bool barrier_shown = false;
#else
/// A VIEW-CHANGE that goes beyond a configuration proves its barrier (CF5).
inline constexpr bool barrier_shown = true;
#endif

#ifdef MUT_config_not_final
inline constexpr bool coordinator_first = false;
#else
/// Other groups say what follows from a CONFIG entry once its own group has decided it (CK1).
inline constexpr bool coordinator_first = true;
#endif

#ifdef MUT_windows_left
inline constexpr bool windows_move = false;
#else
/// Whoever takes a partition over knows what was delivered of it before (CF8).
inline constexpr bool windows_move = true;
#endif

#ifdef MUT_owners_fixed
inline constexpr bool base_from_barriers = false;
#else
/// A new view's entries belong to whom the newest barrier shown says (CF6).
inline constexpr bool base_from_barriers = true;
#endif

#ifdef MUT_count_replaced
inline constexpr bool replaced_excluded = false;
#else
/// Who is replaced has no say in whether it is (CF3).
inline constexpr bool replaced_excluded = true;
#endif

#ifdef MUT_no_joint_quorum
inline constexpr bool joint_quorum = false;
#else
/// A view that begins behind a configuration without barrier asks its members, too (CF6).
inline constexpr bool joint_quorum = true;
#endif

#ifdef MUT_new_group_early
inline constexpr bool coordinators_go_first = false;
#else
/// A group that was added commits nothing before the coordinators have, in its view or an earlier
/// one (docs/adr/0026).
inline constexpr bool coordinators_go_first = true;
#endif

#ifdef MUT_removed_counts
inline constexpr bool removed_groups_go = false;
#else
/// No view waits for a group that was removed.
inline constexpr bool removed_groups_go = true;
#endif

#ifdef MUT_barrier_of_removed
inline constexpr bool barrier_without_removed = false;
#else
/// Nor does the barrier of the change that removes it: it may be dead.
inline constexpr bool barrier_without_removed = true;
#endif

#ifdef MUT_one_elder
inline constexpr bool elders_agree = false;
#else
/// A group that was added follows a primary from where f+1 coordinators say, not one.
inline constexpr bool elders_agree = true;
#endif

#ifdef MUT_member_check_off
inline constexpr bool members_by_slot = false;
#else
/// Up to a CONFIG slot the members before it count, beyond it those after it (CF4).
inline constexpr bool members_by_slot = true;
#endif

#ifdef MUT_keys_ignored
inline constexpr bool client_keys = false;
#else
/// Whoever is no client, or has another key, at a slot executes nothing there (CF12).
inline constexpr bool client_keys = true;
#endif

#ifdef MUT_keys_of_today
inline constexpr bool keys_by_slot = false;
#else
/// And that is judged by the configuration of the slot, not by the newest that a replica has.
inline constexpr bool keys_by_slot = true;
#endif

}  // namespace bft::consensus::rules
