/// Days and dates of the Gregorian calendar, before 1970 too.
enum CivilTime {
    struct Date: Equatable {
        var year: Int
        var month: Int
        var day: Int
    }

    /// Days since 1970-01-01. Years are counted from March, so that the leap day is a year's last.
    static func days(_ date: Date) -> Int64 {
        let year = date.month <= 2 ? date.year - 1 : date.year
        let era = floorDivide(Int64(year), 400)
        let ofEra = Int64(year) - era * 400
        let ofYear = Int64((153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1)
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    static func date(ofDay day: Int64) -> Date {
        let shifted = day + 719_468
        let era = floorDivide(shifted, 146_097)
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = Int(ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100))
        let month = (5 * ofYear + 2) / 153
        let civil = month < 10 ? month + 3 : month - 9
        let year = Int(yearOfEra + era * 400) + (civil <= 2 ? 1 : 0)
        return Date(year: year, month: civil, day: ofYear - (153 * month + 2) / 5 + 1)
    }

    /// 0 for Sunday.
    static func weekday(ofDay day: Int64) -> Int { Int((day % 7 + 11) % 7) }

    static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let quotient = a / b
        return a % b < 0 ? quotient - 1 : quotient
    }
}
