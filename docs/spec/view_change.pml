/* Agreement, view change and truncated logs of CloudBFT-HX, for Spin: docs/spec/check.sh runs it.
 *
 * GROUPS groups of three replicas (f = 1) follow one order of SLOTS slots through VIEWS views; slot b
 * holds one entry, of group (b-1) % GROUPS. The last replica of each group below LIARS is Byzantine, so are
 * all primaries: they order what they like, show it to whom they like, and choose which VIEW-CHANGEs count
 * and what is nullified where the rules leave a choice. What trusted counters enforce is assumed, not
 * modelled: one NEW-VIEW per view, one header per slot of a view (Lemma 1), and for each replica one
 * sequence of certified messages, which is what liars write here.
 *
 * Checked: whatever a group committed, its header and whether the entry was kept, is the same in every
 * view that comes later (Lemma 3), in every reachable state. Rules that can be taken away, each of which
 * must then be missed (-D...):
 *   NO_LOG      a VIEW-CHANGE's claim is believed without the log behind it (R7, VC3c)
 *   SELF_BASE   a log may begin where its owner says, without vouches (CK3, VC2)
 *   NO_PROMISE  a COMMIT of a view that its sender has left counts (R7)
 *   ONE_GROUP   VIEW-CHANGEs of one group are enough (VC4.1)
 *   NULL_FREE   anything above the checkpoints may be nullified (VC4.4)
 *   UNSTICKY    what is null may be kept again later (VC4.4)
 */
#ifndef GROUPS
#define GROUPS 1
#endif
#ifndef LIARS
#define LIARS GROUPS
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef VIEWS
#define VIEWS 3
#endif
#ifndef LOG
#define LOG 4 /* messages that a liar certifies at most */
#endif

#define REPLICAS (3 * GROUPS)
#define GROUP_OF(r) ((r) / 3)
#define LIES(r) ((r) % 3 == 2 && GROUP_OF(r) < LIARS)
#define OWNER(b) (((b) - 1) % GROUPS)
#define AT(v, b) ((v) * (SLOTS + 1) + (b))
#define IN(r, v) ((r) * VIEWS + (v))
#define OF(r, m) ((r) * (LOG + 1) + (m))
#define COMMIT 1
#define CHANGE 2

/* Of each view. */
bit begun[VIEWS];                    /* its NEW-VIEW is certified; view 0 begins by itself */
byte base[VIEWS];                    /* N: the chain that it takes over */
byte tip[VIEWS];                     /* its last PREPARE */
byte header[VIEWS * (SLOTS + 1)];    /* 1 + the view that made the slot's header; 0: none */
bit nulled[VIEWS * (SLOTS + 1)];     /* in its nullset */

/* Of each replica. */
byte view[REPLICAS];                 /* that it is in */
bit joined[REPLICAS];                /* it has accepted that view's NEW-VIEW */
bit changed[REPLICAS * VIEWS];       /* its VIEW-CHANGE for that view is certified (correct ones) */
byte upto[REPLICAS * VIEWS];         /* the largest slot that it committed in that view; 0: none */

/* A liar's certified messages, in the order of its counter: 1..length. */
byte length[REPLICAS];
byte kind[REPLICAS * (LOG + 1)];
byte of_view[REPLICAS * (LOG + 1)];
byte to[REPLICAS * (LOG + 1)];       /* COMMIT: its slot. VIEW-CHANGE: the slot of the last COMMIT */
byte last_view[REPLICAS * (LOG + 1)]; /* VIEW-CHANGE: the view of the last COMMIT, as it says */
byte vouched[REPLICAS];              /* a correct member found so many of them valid, in order */

/* What was committed: 1 + header, 1 + null; 0: nothing yet. */
byte decided_header[SLOTS + 1];
byte decided_null[SLOTS + 1];

/* Scratch, always 0 between steps. */
hidden byte i, j, k, n, v, w, b, r, count, promised;
byte lv, lt;                         /* last (view, slot) while a log is read */
bit good;

/* (a,b) before (c,d), as pairs of view and slot; slot 0: no COMMIT at all. */
#define BEFORE(a, b, c, d) ((b) == 0 && (d) != 0 || (b) != 0 && (d) != 0 && ((a) < (c) || (a) == (c) && (b) < (d)))

/* Reads messages from..until of liar `who` behind (lv, lt, promised): good, and the last COMMIT. */
inline read_log(who, from, until) {
    k = from;
    do
    :: k <= until && good ->
        if
        :: kind[OF(who, k)] == COMMIT ->
#ifndef NO_PROMISE
            if :: of_view[OF(who, k)] < promised -> good = 0 :: else -> skip fi;
#endif
            if
            :: BEFORE(lv, lt, of_view[OF(who, k)], to[OF(who, k)]) ->
                lv = of_view[OF(who, k)];
                lt = to[OF(who, k)]
            :: else -> good = 0
            fi
        :: else ->
            if
            :: of_view[OF(who, k)] <= promised -> good = 0
#ifndef NO_LOG
            :: of_view[OF(who, k)] > promised && (last_view[OF(who, k)] != lv || to[OF(who, k)] != lt) -> good = 0
#endif
            :: else -> promised = of_view[OF(who, k)]
            fi
        fi;
        k++
    :: else -> break
    od
}

/* Every correct member finds the same: the next message of `who` is valid behind those before it. */
inline vouch(who) {
    good = 1; lv = 0; lt = 0; promised = 0;
    read_log(who, 1, vouched[who] + 1);
    if :: good -> vouched[who]++ :: else -> skip fi;
    lv = 0; lt = 0; good = 0; promised = 0; k = 0
}

/* A liar certifies something. COMMITs count for decisions where correct processors find them valid. */
inline certify(who, what, in_view, slot, said) {
    length[who]++;
    kind[OF(who, length[who])] = what;
    of_view[OF(who, length[who])] = in_view;
    to[OF(who, length[who])] = slot;
    last_view[OF(who, length[who])] = said
}

/* Every slot that some group has committed in view w stands as it was committed before. */
inline decide(w) {
    b = 1;
    do
    :: b <= SLOTS ->
        /* headers: by any group; kept or null: by the owner */
        i = 0;
        do
        :: i < GROUPS ->
            count = 0; j = 0;
            do
            :: j < 3 ->
                if :: upto[IN(3 * i + j, w)] >= b -> count++ :: else -> skip fi;
                j++
            :: else -> break
            od;
            if
            :: count >= 2 ->
                assert(decided_header[b] == 0 || decided_header[b] == 1 + header[AT(w, b)]);
                decided_header[b] = 1 + header[AT(w, b)];
                if
                :: OWNER(b) == i ->
                    assert(decided_null[b] == 0 || decided_null[b] == 1 + nulled[AT(w, b)]);
                    decided_null[b] = 1 + nulled[AT(w, b)]
                :: else -> skip
                fi
            :: else -> skip
            fi;
            i++
        :: else -> break
        od;
        b++
    :: else -> break
    od;
    b = 0; i = 0; j = 0; count = 0
}

/* A NEW-VIEW for v from a set of VIEW-CHANGEs, one bit per replica; their claims (VC4). */
byte claim_view[REPLICAS], claim_to[REPLICAS];
bit chosen[REPLICAS];
byte best;

inline choose_changes(target) {
    r = 0;
    do
    :: r < REPLICAS ->
        if
        :: !LIES(r) && changed[IN(r, target)] ->
            /* what it committed below this view; it commits nothing there any more */
            if :: chosen[r] = 1 :: chosen[r] = 0 fi;
            if
            :: chosen[r] ->
                w = 0;
                do
                :: w < target ->
                    if :: upto[IN(r, w)] > 0 -> claim_view[r] = w; claim_to[r] = upto[IN(r, w)] :: else -> skip fi;
                    w++
                :: else -> break
                od;
                w = 0
            :: else -> skip
            fi
        :: LIES(r) ->
            /* one of its VIEW-CHANGEs for this view, with a log that begins where vouches allow */
            n = 1;
            do
            :: n <= length[r] && !(kind[OF(r, n)] == CHANGE && of_view[OF(r, n)] == target) -> n++
            :: else -> break
            od;
            if
            :: n <= length[r] ->
                if
                :: true ->
                    good = 1; lv = 0; lt = 0; promised = 0; j = 1;
                    /* base: nothing, or a message that f+1 members, one of them correct, have processed */
                    do
#ifdef SELF_BASE
                    :: j < n -> j++
#else
                    :: j < n && j < vouched[r] -> j++
#endif
                    :: break
                    od;
                    if
                    :: j > 1 && j < n && kind[OF(r, j)] == COMMIT ->
                        lv = of_view[OF(r, j)]; lt = to[OF(r, j)]; j++
                    :: j > 1 && j < n && kind[OF(r, j)] == CHANGE ->
                        lv = last_view[OF(r, j)]; lt = to[OF(r, j)]; promised = of_view[OF(r, j)]; j++
                    :: else -> j = 1
                    fi;
                    read_log(r, j, n);
                    if
                    :: good ->
                        chosen[r] = 1;
                        claim_view[r] = last_view[OF(r, n)];
                        claim_to[r] = to[OF(r, n)]
                    :: else -> skip
                    fi
                :: skip
                fi
            :: else -> skip
            fi;
            n = 0; lv = 0; lt = 0; good = 0; promised = 0; k = 0; j = 0
        :: else -> skip
        fi;
        r++
    :: else -> break
    od;
    r = 0
}

inline new_view(target) {
    choose_changes(target);
    /* f+1 of every group, and the last COMMIT of all */
    good = 1; best = 0; i = 0; n = 0;
    do
    :: i < GROUPS ->
        count = chosen[3 * i] + chosen[3 * i + 1] + chosen[3 * i + 2];
        if :: count < 2 -> good = 0 :: else -> n++ fi;
        i++
    :: else -> break
    od;
#ifdef ONE_GROUP
    good = n > 0;
#endif
    r = 0;
    do
    :: r < REPLICAS ->
        if
        :: chosen[r] && (!chosen[best] || BEFORE(claim_view[best], claim_to[best], claim_view[r], claim_to[r])) -> best = r
        :: else -> skip
        fi;
        r++
    :: else -> break
    od;
    if
    :: good && claim_to[best] <= tip[claim_view[best]] ->
        begun[target] = 1;
        base[target] = claim_to[best];
        tip[target] = claim_to[best];
        b = 1;
        do
        :: b <= claim_to[best] ->
            header[AT(target, b)] = header[AT(claim_view[best], b)];
            /* who of the owner's members does not claim this entry, as kept */
            count = 0; j = 0;
            do
            :: j < 3 ->
                r = 3 * OWNER(b) + j;
                if
                :: chosen[r] && !(b <= claim_to[r] && header[AT(claim_view[r], b)] == header[AT(target, b)] &&
                                  !nulled[AT(claim_view[r], b)]) -> count++
                :: else -> skip
                fi;
                j++
            :: else -> break
            od;
            if
#ifndef UNSTICKY
            :: nulled[AT(claim_view[best], b)] -> nulled[AT(target, b)] = 1
            :: !nulled[AT(claim_view[best], b)] && count < 2 -> skip
            :: !nulled[AT(claim_view[best], b)] && count >= 2 ->
                if :: nulled[AT(target, b)] = 1 :: skip fi
#else
            :: count >= 2 -> if :: nulled[AT(target, b)] = 1 :: skip fi
            :: count < 2 -> skip
#endif
#ifdef NULL_FREE
            :: nulled[AT(target, b)] = 1
#endif
            fi;
            b++
        :: else -> break
        od
    :: else -> skip
    fi;
    r = 0;
    do
    :: r < REPLICAS -> chosen[r] = 0; claim_view[r] = 0; claim_to[r] = 0; r++
    :: else -> break
    od;
    best = 0; good = 0; count = 0; i = 0; j = 0; n = 0; b = 0; r = 0
}

init {
    byte who, at, slot, lie;
    atomic {
        begun[0] = 1;
        who = 0;
        do :: who < REPLICAS -> joined[who] = 1; who++ :: else -> break od;
        who = 0
    }
    do
    :: atomic { /* a primary orders the next slot */
        at = 0;
        do :: at < VIEWS - 1 -> at++ :: break od;
        if
        :: begun[at] && tip[at] < SLOTS ->
            tip[at]++;
            header[AT(at, tip[at])] = 1 + at
        :: else -> skip
        fi;
        at = 0
    }
    :: atomic { /* a correct replica moves */
        who = 0;
        do :: who < REPLICAS - 1 -> who++ :: break od;
        if
        :: LIES(who) -> skip
        :: !LIES(who) ->
            if
            :: joined[who] && upto[IN(who, view[who])] < tip[view[who]] -> /* COMMIT, not below N (VC7) */
                slot = upto[IN(who, view[who])] + 1;
                do :: slot < tip[view[who]] -> slot++ :: break od;
                if
                :: slot >= base[view[who]] ->
                    upto[IN(who, view[who])] = slot;
                    decide(view[who])
                :: else -> skip
                fi
            :: view[who] < VIEWS - 1 -> /* a TC: it leaves its view, and certifies a VIEW-CHANGE */
                at = view[who] + 1;
                do :: at < VIEWS - 1 -> at++ :: break od;
                view[who] = at;
                joined[who] = 0;
                changed[IN(who, at)] = 1
            :: view[who] < VIEWS - 1 || !joined[who] -> /* a NEW-VIEW of its view or a later one */
                at = view[who];
                do :: at < VIEWS - 1 -> at++ :: break od;
                if
                :: begun[at] && (at > view[who] || !joined[who]) -> view[who] = at; joined[who] = 1
                :: else -> skip
                fi
            :: else -> skip
            fi
        fi;
        who = 0; at = 0; slot = 0
    }
    :: atomic { /* a liar certifies what it likes */
        who = 0;
        do :: who < REPLICAS - 1 -> who++ :: break od;
        if
        :: LIES(who) && length[who] < LOG ->
            at = 0;
            do :: at < VIEWS - 1 -> at++ :: break od;
            slot = 0;
            do :: slot < SLOTS -> slot++ :: break od;
            if
            :: slot > 0 && begun[at] && slot >= base[at] && slot <= tip[at] ->
                certify(who, COMMIT, at, slot, 0);
                /* it counts if all before it was valid, and it is */
                if
                :: vouched[who] + 1 == length[who] ->
                    vouch(who);
                    if
                    :: vouched[who] == length[who] ->
                        if :: upto[IN(who, at)] < slot -> upto[IN(who, at)] = slot :: else -> skip fi;
                        decide(at)
                    :: else -> skip
                    fi
                :: else -> skip
                fi
            :: at > 0 -> /* a VIEW-CHANGE that says what it likes of its last COMMIT */
                lie = 0;
                if
                :: slot > 0 -> do :: lie < at - 1 -> lie++ :: break od
                :: else -> skip
                fi;
                if
                :: slot == 0 || slot <= tip[lie] ->
                    certify(who, CHANGE, at, slot, lie);
                    if :: vouched[who] + 1 == length[who] -> vouch(who) :: else -> skip fi
                :: else -> skip
                fi
            :: else -> skip
            fi
        :: else -> skip
        fi;
        who = 0; at = 0; slot = 0; lie = 0
    }
    :: atomic { /* a primary begins its view */
        at = 1;
        do :: at < VIEWS - 1 -> at++ :: break od;
        if :: !begun[at] -> new_view(at) :: else -> skip fi;
        at = 0
    }
    od
}
