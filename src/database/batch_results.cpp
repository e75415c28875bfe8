// What the server answers to a batch's calls, in the canonical encoding.
#include "catalog/value.hpp"
#include "database/batch.hpp"

#include <algorithm>
#include <charconv>

namespace bft::database {

using consensus::Outcome;

namespace {

bool is_integer(enum_field_types type) {
    switch (type) {
        case MYSQL_TYPE_TINY:
        case MYSQL_TYPE_SHORT:
        case MYSQL_TYPE_INT24:
        case MYSQL_TYPE_LONG:
        case MYSQL_TYPE_LONGLONG:
        case MYSQL_TYPE_YEAR:
            return true;
        default:
            return false;
    }
}

/// The columns of a result set as the canonical encoding takes them.
class Columns {
public:
    explicit Columns(Session& session) : integers_(session.columns()) {
        for (unsigned i = 0; i < integers_.size(); ++i) {
            auto type = session.column_type(i);
            integers_[i] = is_integer(type);
            inexact_ |= type == MYSQL_TYPE_FLOAT || type == MYSQL_TYPE_DOUBLE;
        }
    }
    [[nodiscard]] std::uint32_t count() const {
        return static_cast<std::uint32_t>(integers_.size());
    }
    [[nodiscard]] bool inexact() const { return inexact_; }

    /// The row from column `first` on.
    void put(MYSQL_ROW fields, const unsigned long* lengths, std::size_t first,
             catalog::ResultEncoder& encoder) const {
        for (std::size_t i = first; i < integers_.size(); ++i) {
            if (fields[i] == nullptr) {
                encoder.null();
                continue;
            }
            std::int64_t number = 0;
            const char* end = fields[i] + lengths[i];
            auto parsed = std::from_chars(fields[i], end, number);
            // Unsigned values beyond the signed range stay text.
            if (integers_[i] && parsed.ec == std::errc() && parsed.ptr == end)
                encoder.integer(number);
            else
                encoder.text({fields[i], lengths[i]});
        }
        encoder.end_row();
    }

private:
    std::vector<bool> integers_;
    bool inexact_ = false;
};

/// One result set into the canonical encoding. False: the rows did not arrive completely.
bool read_result_set(Session& session, catalog::ResultEncoder& encoder, bool& inexact) {
    const Columns columns(session);
    inexact |= columns.inexact();
    encoder.begin_set(columns.count());
    return session.read_rows([&](MYSQL_ROW fields, const unsigned long* lengths) {
        columns.put(fields, lengths, 0, encoder);
    });
}

/// The place in `calls` that a batch form's row names; calls.size() when it names none.
std::size_t named(MYSQL_ROW fields, const unsigned long* lengths, std::size_t count) {
    std::size_t place = count;
    if (fields[0] == nullptr) return count;
    auto parsed = std::from_chars(fields[0], fields[0] + lengths[0], place);
    return parsed.ec == std::errc() && parsed.ptr == fields[0] + lengths[0] ? std::min(place, count)
                                                                            : count;
}

}  // namespace

Batch::Read Batch::read_item(Session& session, Item& item) {
    for (int i = 0; i < 2; ++i)  // SAVEPOINT, SET
        if (session.next() != Session::Part::ok) return Read::failed;
    catalog::ResultEncoder encoder;
    bool inexact = false;
    Session::Part part = session.next();
    while (part == Session::Part::result_set)
        part = read_result_set(session, encoder, inexact) ? session.next() : Session::Part::failed;
    if (part == Session::Part::failed) {
        auto meaning = classify(session.last_error());
        if (meaning.verdict != Verdict::abort) return Read::failed;
        item.outcome = Outcome::aborted;
        item.code = meaning.number();
        return Read::aborted;
    }
    if (part != Session::Part::ok) return Read::failed;
    if (!session.in_transaction()) return Read::broken;
    if (inexact || !encoder.fits()) {
        item.forced = number(inexact ? AbortCode::inexact_result : AbortCode::result_too_large);
        return Read::rejected;
    }
    item.result = encoder.finish();
    return Read::done;
}

Batch::Read Batch::read_together(Session& session, const Step& step,
                                 std::vector<std::size_t>& left_out) {
    if (session.next() != Session::Part::ok) return Read::failed;  // SAVEPOINT
    const std::size_t count = step.calls.size();
    std::vector<TogetherResult> results(count);
    bool well_formed = true, first = true;
    Session::Part part = session.next();
    for (; part == Session::Part::result_set; first = false) {
        const Columns columns(session);
        if (!first)
            for (TogetherResult& result : results) {
                result.inexact |= columns.inexact();
                result.encoder.begin_set(columns.count() - 1);
            }
        bool complete = session.read_rows([&](MYSQL_ROW fields, const unsigned long* lengths) {
            const std::size_t place = named(fields, lengths, count);
            if (place == count || (!first && results[place].left_out))
                well_formed = false;
            else if (first)
                results[place].left_out = true;
            else
                columns.put(fields, lengths, 1, results[place].encoder);
        });
        part = complete ? session.next() : Session::Part::failed;
    }
    if (part == Session::Part::failed) {
        if (classify(session.last_error()).verdict != Verdict::abort) return Read::failed;
        // Which call it was is not known: each by itself.
        left_out.insert(left_out.end(), step.calls.begin(), step.calls.end());
        return Read::aborted;
    }
    if (part != Session::Part::ok) return Read::failed;
    if (!session.in_transaction()) return Read::broken;
    if (!well_formed || first) {
        together_ = false;
        return Read::rejected;
    }
    for (std::size_t place = 0; place < count; ++place)
        if (results[place].left_out) left_out.push_back(step.calls[place]);
    return give_results(step, results);
}

Batch::Read Batch::give_results(const Step& step, std::vector<TogetherResult>& results) {
    Read read = Read::done;
    for (std::size_t place = 0; place < results.size(); ++place) {
        TogetherResult& result = results[place];
        Item& item = items_[step.calls[place]];
        if (result.left_out) continue;
        if (result.inexact || !result.encoder.fits()) {
            item.forced =
                number(result.inexact ? AbortCode::inexact_result : AbortCode::result_too_large);
            read = Read::rejected;
            continue;
        }
        item.result = result.encoder.finish();
        ++ran_together_;
    }
    return read;
}

}  // namespace bft::database
