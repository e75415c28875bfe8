// Assertions on our own state, in every build. A peer's bytes must never reach one.
#pragma once

#include <boost/assert/source_location.hpp>

namespace bft {

[[noreturn]] void invariant_broken(const char* why, const boost::source_location& where);

/// Aborts, naming the place, when `holds` is false. `why` says the property that was expected.
inline void invariant(bool holds, const char* why,
                      const boost::source_location& where = BOOST_CURRENT_LOCATION) {
    if (!holds) [[unlikely]]
        invariant_broken(why, where);
}

}  // namespace bft
