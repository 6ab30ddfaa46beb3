extension CEL {
    /// Every function's signatures; `Functions` says how a line reads.
    enum Declarations {
        static let standard = """
            f _?_:_ conditional A bool A A
            f _&&_ logical_and bool bool bool
            f _||_ logical_or bool bool bool
            f !_ logical_not bool bool
            f @not_strictly_false not_strictly_false bool bool
            f _==_ equals bool A A
            f _!=_ not_equals bool A A
            f _+_ add_bytes bytes bytes bytes
            f _+_ add_double double double double
            f _+_ add_duration_duration duration duration duration
            f _+_ add_duration_timestamp timestamp duration timestamp
            f _+_ add_timestamp_duration timestamp timestamp duration
            f _+_ add_int64 int int int
            f _+_ add_list list(A) list(A) list(A)
            f _+_ add_string string string string
            f _+_ add_uint64 uint uint uint
            f _-_ subtract_double double double double
            f _-_ subtract_duration_duration duration duration duration
            f _-_ subtract_int64 int int int
            f _-_ subtract_timestamp_duration timestamp timestamp duration
            f _-_ subtract_timestamp_timestamp duration timestamp timestamp
            f _-_ subtract_uint64 uint uint uint
            f _*_ multiply_double double double double
            f _*_ multiply_int64 int int int
            f _*_ multiply_uint64 uint uint uint
            f _/_ divide_double double double double
            f _/_ divide_int64 int int int
            f _/_ divide_uint64 uint uint uint
            f _%_ modulo_int64 int int int
            f _%_ modulo_uint64 uint uint uint
            f -_ negate_double double double
            f -_ negate_int64 int int
            f _<_ less_bool bool bool bool
            f _<_ less_int64 bool int int
            f _<_ less_uint64 bool uint uint
            f _<_ less_double bool double double
            f _<_ less_string bool string string
            f _<_ less_bytes bool bytes bytes
            f _<_ less_timestamp bool timestamp timestamp
            f _<_ less_duration bool duration duration
            f _<_ less_int64_uint64 bool int uint
            f _<_ less_int64_double bool int double
            f _<_ less_uint64_int64 bool uint int
            f _<_ less_uint64_double bool uint double
            f _<_ less_double_int64 bool double int
            f _<_ less_double_uint64 bool double uint
            f _<=_ less_equals_bool bool bool bool
            f _<=_ less_equals_int64 bool int int
            f _<=_ less_equals_uint64 bool uint uint
            f _<=_ less_equals_double bool double double
            f _<=_ less_equals_string bool string string
            f _<=_ less_equals_bytes bool bytes bytes
            f _<=_ less_equals_timestamp bool timestamp timestamp
            f _<=_ less_equals_duration bool duration duration
            f _<=_ less_equals_int64_uint64 bool int uint
            f _<=_ less_equals_int64_double bool int double
            f _<=_ less_equals_uint64_int64 bool uint int
            f _<=_ less_equals_uint64_double bool uint double
            f _<=_ less_equals_double_int64 bool double int
            f _<=_ less_equals_double_uint64 bool double uint
            f _>_ greater_bool bool bool bool
            f _>_ greater_int64 bool int int
            f _>_ greater_uint64 bool uint uint
            f _>_ greater_double bool double double
            f _>_ greater_string bool string string
            f _>_ greater_bytes bool bytes bytes
            f _>_ greater_timestamp bool timestamp timestamp
            f _>_ greater_duration bool duration duration
            f _>_ greater_int64_uint64 bool int uint
            f _>_ greater_int64_double bool int double
            f _>_ greater_uint64_int64 bool uint int
            f _>_ greater_uint64_double bool uint double
            f _>_ greater_double_int64 bool double int
            f _>_ greater_double_uint64 bool double uint
            f _>=_ greater_equals_bool bool bool bool
            f _>=_ greater_equals_int64 bool int int
            f _>=_ greater_equals_uint64 bool uint uint
            f _>=_ greater_equals_double bool double double
            f _>=_ greater_equals_string bool string string
            f _>=_ greater_equals_bytes bool bytes bytes
            f _>=_ greater_equals_timestamp bool timestamp timestamp
            f _>=_ greater_equals_duration bool duration duration
            f _>=_ greater_equals_int64_uint64 bool int uint
            f _>=_ greater_equals_int64_double bool int double
            f _>=_ greater_equals_uint64_int64 bool uint int
            f _>=_ greater_equals_uint64_double bool uint double
            f _>=_ greater_equals_double_int64 bool double int
            f _>=_ greater_equals_double_uint64 bool double uint
            f _[_] index_list A list(A) int
            f _[_] index_map B map(A,B) A
            f @in in_list bool A list(A)
            f @in in_map bool A map(A,B)
            f size size_bytes int bytes
            m size bytes_size int bytes
            f size size_list int list(A)
            m size list_size int list(A)
            f size size_map int map(A,B)
            m size map_size int map(A,B)
            f size size_string int string
            m size string_size int string
            f type type type(A) A
            f bool bool_to_bool bool bool
            f bool string_to_bool bool string
            f bytes bytes_to_bytes bytes bytes
            f bytes string_to_bytes bytes string
            f double double_to_double double double
            f double int64_to_double double int
            f double string_to_double double string
            f double uint64_to_double double uint
            f duration duration_to_duration duration duration
            f duration int64_to_duration duration int
            f duration string_to_duration duration string
            f int int64_to_int64 int int
            f int double_to_int64 int double
            f int duration_to_int64 int duration
            f int string_to_int64 int string
            f int timestamp_to_int64 int timestamp
            f int uint64_to_int64 int uint
            f string string_to_string string string
            f string bool_to_string string bool
            f string bytes_to_string string bytes
            f string double_to_string string double
            f string duration_to_string string duration
            f string int64_to_string string int
            f string timestamp_to_string string timestamp
            f string uint64_to_string string uint
            f timestamp timestamp_to_timestamp timestamp timestamp
            f timestamp int64_to_timestamp timestamp int
            f timestamp string_to_timestamp timestamp string
            f uint uint64_to_uint64 uint uint
            f uint double_to_uint64 uint double
            f uint int64_to_uint64 uint int
            f uint string_to_uint64 uint string
            f dyn to_dyn dyn A
            m contains contains_string bool string string
            m endsWith ends_with_string bool string string
            m startsWith starts_with_string bool string string
            m matches matches_string bool string string
            f matches matches bool string string
            m getFullYear timestamp_to_getFullYear int timestamp
            m getFullYear timestamp_to_getFullYear_with_tz int timestamp string
            m getMonth timestamp_to_getMonth int timestamp
            m getMonth timestamp_to_getMonth_with_tz int timestamp string
            m getDayOfYear timestamp_to_getDayOfYear int timestamp
            m getDayOfYear timestamp_to_getDayOfYear_with_tz int timestamp string
            m getDayOfMonth timestamp_to_getDayOfMonth int timestamp
            m getDayOfMonth timestamp_to_getDayOfMonth_with_tz int timestamp string
            m getDate timestamp_to_getDate int timestamp
            m getDate timestamp_to_getDate_with_tz int timestamp string
            m getDayOfWeek timestamp_to_getDayOfWeek int timestamp
            m getDayOfWeek timestamp_to_getDayOfWeek_with_tz int timestamp string
            m getHours timestamp_to_getHours int timestamp
            m getHours timestamp_to_getHours_with_tz int timestamp string
            m getMinutes timestamp_to_getMinutes int timestamp
            m getMinutes timestamp_to_getMinutes_with_tz int timestamp string
            m getSeconds timestamp_to_getSeconds int timestamp
            m getSeconds timestamp_to_getSeconds_with_tz int timestamp string
            m getMilliseconds timestamp_to_getMilliseconds int timestamp
            m getMilliseconds timestamp_to_getMilliseconds_with_tz int timestamp string
            m getHours duration_to_getHours int duration
            m getMinutes duration_to_getMinutes int duration
            m getSeconds duration_to_getSeconds int duration
            m getMilliseconds duration_to_getMilliseconds int duration
            """

        static let libraries: [(Library, String)] = [
            (.strings, strings),
            (.reversal, reversal),
            (.lists, lists),
            (.extendedLists, extendedLists),
            (.sets, sets),
            (.math, math),
            (.encoders, encoders),
            (.regex, regex),
            (.optionals, optionals),
            (.twoVariables, twoVariables),
            (.network, network),
            (.quantity, quantity),
            (.semver, semver),
            (.format, format),
            (.authorizer, authorizer),
            (.jsonPatch, jsonPatch),
        ]

        private static let strings = """
            m charAt string_char_at_int string string int
            m indexOf string_index_of_string int string string
            m indexOf string_index_of_string_int int string string int
            m lastIndexOf string_last_index_of_string int string string
            m lastIndexOf string_last_index_of_string_int int string string int
            m join list_join string list(string)
            m join list_join_string string list(string) string
            m lowerAscii string_lowerAscii string string
            m upperAscii string_upperAscii string string
            m trim string_trim string string
            m replace string_replace_string_string string string string string
            m replace string_replace_string_string_int string string string string int
            m split string_split_string list(string) string string
            m split string_split_string_int list(string) string string int
            m substring string_substring_int string string int
            m substring string_substring_int_int string string int int
            m format string_format string string list(dyn)
            f strings.quote strings_quote string string
            """

        private static let reversal = """
            m reverse string_reverse string string
            """

        private static let lists = """
            m isSorted list_int_is_sorted_bool bool list(int)
            m min list_int_min_int int list(int)
            m max list_int_max_int int list(int)
            m isSorted list_uint_is_sorted_bool bool list(uint)
            m min list_uint_min_uint uint list(uint)
            m max list_uint_max_uint uint list(uint)
            m isSorted list_double_is_sorted_bool bool list(double)
            m min list_double_min_double double list(double)
            m max list_double_max_double double list(double)
            m isSorted list_bool_is_sorted_bool bool list(bool)
            m min list_bool_min_bool bool list(bool)
            m max list_bool_max_bool bool list(bool)
            m isSorted list_duration_is_sorted_bool bool list(duration)
            m min list_duration_min_duration duration list(duration)
            m max list_duration_max_duration duration list(duration)
            m isSorted list_timestamp_is_sorted_bool bool list(timestamp)
            m min list_timestamp_min_timestamp timestamp list(timestamp)
            m max list_timestamp_max_timestamp timestamp list(timestamp)
            m isSorted list_string_is_sorted_bool bool list(string)
            m min list_string_min_string string list(string)
            m max list_string_max_string string list(string)
            m isSorted list_bytes_is_sorted_bool bool list(bytes)
            m min list_bytes_min_bytes bytes list(bytes)
            m max list_bytes_max_bytes bytes list(bytes)
            m sum list_int_sum_int int list(int)
            m sum list_uint_sum_uint uint list(uint)
            m sum list_double_sum_double double list(double)
            m sum list_duration_sum_duration duration list(duration)
            m indexOf list_a_index_of_int int list(A) A
            m lastIndexOf list_a_last_index_of_int int list(A) A
            """

        private static let extendedLists = """
            m slice list_slice list(A) list(A) int int
            m flatten list_flatten list(dyn) list(A)
            m flatten list_flatten_int list(dyn) list(A) int
            f lists.range lists_range list(int) int
            m sort list_int_sort list(int) list(int)
            m sort list_uint_sort list(uint) list(uint)
            m sort list_double_sort list(double) list(double)
            m sort list_bool_sort list(bool) list(bool)
            m sort list_duration_sort list(duration) list(duration)
            m sort list_timestamp_sort list(timestamp) list(timestamp)
            m sort list_string_sort list(string) list(string)
            m sort list_bytes_sort list(bytes) list(bytes)
            m @sortByAssociatedKeys list_int_sortByAssociatedKeys list(T) list(T) list(int)
            m @sortByAssociatedKeys list_uint_sortByAssociatedKeys list(T) list(T) list(uint)
            m @sortByAssociatedKeys list_double_sortByAssociatedKeys list(T) list(T) list(double)
            m @sortByAssociatedKeys list_bool_sortByAssociatedKeys list(T) list(T) list(bool)
            m @sortByAssociatedKeys list_duration_sortByAssociatedKeys list(T) list(T) list(duration)
            m @sortByAssociatedKeys list_timestamp_sortByAssociatedKeys list(T) list(T) list(timestamp)
            m @sortByAssociatedKeys list_string_sortByAssociatedKeys list(T) list(T) list(string)
            m @sortByAssociatedKeys list_bytes_sortByAssociatedKeys list(T) list(T) list(bytes)
            m distinct list_distinct list(A) list(A)
            m reverse list_reverse list(A) list(A)
            m first list_first optional(A) list(A)
            m last list_last optional(A) list(A)
            """

        private static let sets = """
            f sets.contains list_sets_contains_list bool list(A) list(A)
            f sets.equivalent list_sets_equivalent_list bool list(A) list(A)
            f sets.intersects list_sets_intersects_list bool list(A) list(A)
            """

        private static let math = """
            f math.@max math_@max_int int int
            f math.@max math_@max_uint uint uint
            f math.@max math_@max_double double double
            f math.@max math_@max_dyn dyn dyn
            f math.@max math_@max_int_int int int int
            f math.@max math_@max_int_uint dyn int uint
            f math.@max math_@max_int_double dyn int double
            f math.@max math_@max_uint_int dyn uint int
            f math.@max math_@max_uint_uint uint uint uint
            f math.@max math_@max_uint_double dyn uint double
            f math.@max math_@max_double_int dyn double int
            f math.@max math_@max_double_uint dyn double uint
            f math.@max math_@max_double_double double double double
            f math.@max math_@max_list_int int list(int)
            f math.@max math_@max_list_uint uint list(uint)
            f math.@max math_@max_list_double double list(double)
            f math.@max math_@max_list_dyn dyn list(dyn)
            f math.@max math_@max_dyn_dyn dyn dyn dyn
            f math.@min math_@min_int int int
            f math.@min math_@min_uint uint uint
            f math.@min math_@min_double double double
            f math.@min math_@min_dyn dyn dyn
            f math.@min math_@min_int_int int int int
            f math.@min math_@min_int_uint dyn int uint
            f math.@min math_@min_int_double dyn int double
            f math.@min math_@min_uint_int dyn uint int
            f math.@min math_@min_uint_uint uint uint uint
            f math.@min math_@min_uint_double dyn uint double
            f math.@min math_@min_double_int dyn double int
            f math.@min math_@min_double_uint dyn double uint
            f math.@min math_@min_double_double double double double
            f math.@min math_@min_list_int int list(int)
            f math.@min math_@min_list_uint uint list(uint)
            f math.@min math_@min_list_double double list(double)
            f math.@min math_@min_list_dyn dyn list(dyn)
            f math.@min math_@min_dyn_dyn dyn dyn dyn
            f math.ceil math_ceil_double double double
            f math.floor math_floor_double double double
            f math.round math_round_double double double
            f math.trunc math_trunc_double double double
            f math.sqrt math_sqrt_int double int
            f math.sqrt math_sqrt_uint double uint
            f math.sqrt math_sqrt_double double double
            f math.isInf math_isInf_double bool double
            f math.isNaN math_isNaN_double bool double
            f math.isFinite math_isFinite_double bool double
            f math.abs math_abs_int int int
            f math.abs math_abs_uint uint uint
            f math.abs math_abs_double double double
            f math.sign math_sign_int int int
            f math.sign math_sign_uint uint uint
            f math.sign math_sign_double double double
            f math.bitAnd math_bitAnd_int_int int int int
            f math.bitAnd math_bitAnd_uint_uint uint uint uint
            f math.bitOr math_bitOr_int_int int int int
            f math.bitOr math_bitOr_uint_uint uint uint uint
            f math.bitXor math_bitXor_int_int int int int
            f math.bitXor math_bitXor_uint_uint uint uint uint
            f math.bitNot math_bitNot_int_int int int
            f math.bitShiftLeft math_bitShiftLeft_int_int int int int
            f math.bitShiftRight math_bitShiftRight_int_int int int int
            f math.bitNot math_bitNot_uint_uint uint uint
            f math.bitShiftLeft math_bitShiftLeft_uint_int uint uint int
            f math.bitShiftRight math_bitShiftRight_uint_int uint uint int
            """

        private static let encoders = """
            f base64.encode base64_encode_bytes string bytes
            f base64.decode base64_decode_string bytes string
            """

        private static let regex = """
            m find string_find_string string string string
            m findAll string_find_all_string list(string) string string
            m findAll string_find_all_string_int list(string) string string int
            """

        private static let optionals = """
            f optional.of optional_of optional(V) V
            f optional.ofNonZeroValue optional_ofNonZeroValue optional(V) V
            f optional.none optional_none optional(V)
            m value optional_value V optional(V)
            m hasValue optional_hasValue bool optional(V)
            m or optional_or_optional optional(V) optional(V) optional(V)
            m orValue optional_orValue_value V optional(V) V
            f _?._ select_optional_field optional(V) dyn string
            f _[?_] list_optindex_optional_int optional(V) list(V) int
            f _[?_] optional_list_optindex_optional_int optional(V) optional(list(V)) int
            f _[?_] map_optindex_optional_value optional(V) map(K,V) K
            f _[?_] optional_map_optindex_optional_value optional(V) optional(map(K,V)) K
            f _[_] optional_list_index_int optional(V) optional(list(V)) int
            f _[_] optional_map_index_value optional(V) optional(map(K,V)) K
            f optional.unwrap optional_unwrap list(V) list(optional(V))
            m unwrapOpt optional_unwrapOpt list(V) list(optional(V))
            """

        private static let twoVariables = """
            f cel.@mapInsert @mapInsert_map_key_value map(K,V) map(K,V) K V
            f cel.@mapInsert @mapInsert_map_map map(K,V) map(K,V) map(K,V)
            """

        private static let network = """
            f url string_to_url kubernetes.URL string
            f isURL is_url_string bool string
            m getScheme url_getScheme string kubernetes.URL
            m getHost url_getHost string kubernetes.URL
            m getHostname url_getHostname string kubernetes.URL
            m getPort url_getPort string kubernetes.URL
            m getEscapedPath url_getEscapedPath string kubernetes.URL
            m getQuery url_get_query map(string,list(string)) kubernetes.URL
            f ip string_to_ip net.IP string
            f isIP is_ip bool string
            f ip.isCanonical ip_is_canonical bool string
            m family ip_family int net.IP
            m isUnspecified ip_isUnspecified bool net.IP
            m isLoopback ip_isLoopback bool net.IP
            m isLinkLocalMulticast ip_isLinkLocalMulticast bool net.IP
            m isLinkLocalUnicast ip_isLinkLocalUnicast bool net.IP
            m isGlobalUnicast ip_isGlobalUnicast bool net.IP
            f string ip_to_string string net.IP
            f string cidr_to_string string net.CIDR
            f cidr string_to_cidr net.CIDR string
            f isCIDR is_cidr bool string
            m containsIP cidr_contains_ip_string bool net.CIDR string
            m containsIP cidr_contains_ip_ip bool net.CIDR net.IP
            m containsCIDR cidr_contains_cidr_string bool net.CIDR string
            m containsCIDR cidr_contains_cidr bool net.CIDR net.CIDR
            m ip cidr_ip net.IP net.CIDR
            m prefixLength cidr_prefix_length int net.CIDR
            m masked cidr_masked net.CIDR net.CIDR
            """

        private static let quantity = """
            f quantity string_to_quantity kubernetes.Quantity string
            f isQuantity is_quantity_string bool string
            m sign quantity_sign int kubernetes.Quantity
            m isInteger quantity_is_integer bool kubernetes.Quantity
            m asInteger quantity_get_int int kubernetes.Quantity
            m asApproximateFloat quantity_get_float double kubernetes.Quantity
            m add quantity_add kubernetes.Quantity kubernetes.Quantity kubernetes.Quantity
            m add quantity_add_int kubernetes.Quantity kubernetes.Quantity int
            m sub quantity_sub kubernetes.Quantity kubernetes.Quantity kubernetes.Quantity
            m sub quantity_sub_int kubernetes.Quantity kubernetes.Quantity int
            m isLessThan quantity_is_less_than bool kubernetes.Quantity kubernetes.Quantity
            m isGreaterThan quantity_is_greater_than bool kubernetes.Quantity kubernetes.Quantity
            m compareTo quantity_compare_to int kubernetes.Quantity kubernetes.Quantity
            """

        private static let semver = """
            f semver string_to_semver kubernetes.Semver string
            f semver string_bool_to_semver kubernetes.Semver string bool
            f isSemver is_semver_string bool string
            f isSemver is_semver_string_bool bool string bool
            m major semver_major int kubernetes.Semver
            m minor semver_minor int kubernetes.Semver
            m patch semver_patch int kubernetes.Semver
            m isLessThan semver_is_less_than bool kubernetes.Semver kubernetes.Semver
            m isGreaterThan semver_is_greater_than bool kubernetes.Semver kubernetes.Semver
            m compareTo semver_compare_to int kubernetes.Semver kubernetes.Semver
            """

        private static let format = """
            f format.named format_named optional(kubernetes.NamedFormat) string
            f format.dns1123Label format_dns1123Label kubernetes.NamedFormat
            f format.dns1123Subdomain format_dns1123Subdomain kubernetes.NamedFormat
            f format.dns1035Label format_dns1035Label kubernetes.NamedFormat
            f format.qualifiedName format_qualifiedName kubernetes.NamedFormat
            f format.dns1123LabelPrefix format_dns1123LabelPrefix kubernetes.NamedFormat
            f format.dns1123SubdomainPrefix format_dns1123SubdomainPrefix kubernetes.NamedFormat
            f format.dns1035LabelPrefix format_dns1035LabelPrefix kubernetes.NamedFormat
            f format.labelValue format_labelValue kubernetes.NamedFormat
            f format.uri format_uri kubernetes.NamedFormat
            f format.uuid format_uuid kubernetes.NamedFormat
            f format.byte format_byte kubernetes.NamedFormat
            f format.date format_date kubernetes.NamedFormat
            f format.datetime format_datetime kubernetes.NamedFormat
            m validate format_validate optional(list(string)) kubernetes.NamedFormat string
            """

        private static let authorizer = """
            m path authorizer_path kubernetes.authorization.PathCheck kubernetes.authorization.Authorizer string
            m group authorizer_group kubernetes.authorization.GroupCheck kubernetes.authorization.Authorizer string
            m serviceAccount authorizer_serviceaccount kubernetes.authorization.Authorizer kubernetes.authorization.Authorizer string string
            m resource groupcheck_resource kubernetes.authorization.ResourceCheck kubernetes.authorization.GroupCheck string
            m subresource resourcecheck_subresource kubernetes.authorization.ResourceCheck kubernetes.authorization.ResourceCheck string
            m namespace resourcecheck_namespace kubernetes.authorization.ResourceCheck kubernetes.authorization.ResourceCheck string
            m name resourcecheck_name kubernetes.authorization.ResourceCheck kubernetes.authorization.ResourceCheck string
            m fieldSelector resourcecheck_fieldSelector kubernetes.authorization.ResourceCheck kubernetes.authorization.ResourceCheck string
            m labelSelector resourcecheck_labelSelector kubernetes.authorization.ResourceCheck kubernetes.authorization.ResourceCheck string
            m check pathcheck_check kubernetes.authorization.Decision kubernetes.authorization.PathCheck string
            m check resourcecheck_check kubernetes.authorization.Decision kubernetes.authorization.ResourceCheck string
            m allowed decision_allowed bool kubernetes.authorization.Decision
            m reason decision_reason string kubernetes.authorization.Decision
            m errored decision_errored bool kubernetes.authorization.Decision
            m error decision_error string kubernetes.authorization.Decision
            """

        private static let jsonPatch = """
            f jsonpatch.escapeKey string_jsonpatch_escapeKey_string string string
            """
    }
}
