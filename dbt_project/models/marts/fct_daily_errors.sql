with tallies as (

    select * from {{ ref('fct_daily_outcomes') }}

),

-- Of a group, with all outcomes.
totalled as (

    select
        *,
        cast(sum(operation_count) over outcomes as bigint) as group_operation_count,
        cast(sum(known_status_count) over outcomes as bigint) as group_known_status_count
    from tallies
    window outcomes as (partition by operation_date, provider, model, operation_type)

),

final as (

    select
        {{ surrogate_key(['operation_date', 'provider', 'model', 'operation_type', 'error_class']) }} as daily_error_id,
        model_id,

        operation_date,
        provider,
        model,
        operation_type,
        error_class,

        error_count,
        group_operation_count,
        group_known_status_count,

        cast(error_count as double precision) / group_known_status_count as error_rate

    from totalled
    where error_class is not null

)

select * from final
