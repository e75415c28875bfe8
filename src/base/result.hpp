// Expected failures as values (docs/architecture.md, "Errors").
#pragma once

#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>
#include <utility>

namespace bft {

/// What a caller may act on; everything else is in the sentence.
enum class Errc {
    malformed,    ///< the input breaks its format or a bound; never retry
    refused,      ///< well-formed, but not allowed (signature, identity, permission)
    not_found,    ///< the named thing does not exist
    unavailable,  ///< the other side is away or busy; retry later
    exhausted,    ///< a bound of ours was met (queue, disk, quota)
    io,           ///< the operating system or a device failed
    internal,     ///< a library failed in a way that its documentation does not foresee
};

struct Error {
    Errc code = Errc::internal;
    std::string what;  ///< one sentence: what happened, and for operators what to do
};

[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
    throw std::runtime_error(error.what);
}

template <class T>
using Result = boost::system::result<T, Error>;

inline Error error(Errc code, std::string what) {
    return {code, std::move(what)};
}

}  // namespace bft
