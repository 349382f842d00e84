with ledger as (

    select * from {{ ref('int_operation_days') }}
    where day_fingerprint is not null

),

span as (

    select
        min(operation_date) as first_date,
        max(operation_date) as last_date
    from ledger

),

dates as (

    select span.first_date + cast(numbers.days_after as integer) as operation_date
    from span
    cross join generate_series(0, span.last_date - span.first_date) as numbers (days_after)

),

final as (

    select
        dates.operation_date,

        cast(date_trunc('week', dates.operation_date) as date) as week_start_date,
        cast(date_trunc('month', dates.operation_date) as date) as month_start_date,

        cast(extract(isodow from dates.operation_date) as bigint) as iso_weekday,
        case extract(isodow from dates.operation_date)
            when 1 then 'Monday'
            when 2 then 'Tuesday'
            when 3 then 'Wednesday'
            when 4 then 'Thursday'
            when 5 then 'Friday'
            when 6 then 'Saturday'
            else 'Sunday'
        end as weekday_name,

        extract(isodow from dates.operation_date) >= 6 as is_weekend,
        ledger.operation_date is not null as has_operations

    from dates
    left join ledger on dates.operation_date = ledger.operation_date

)

select * from final
