// Boost.JSON, built once from its headers.
#include <boost/json/src.hpp>
