{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail'
    )
}}

{%- set days = days_to_rebuild(built = 'select distinct operation_date, day_fingerprint from ' ~ this) %}

-- Not copied, as a CTE that is read twice would be, with all its columns.
with operations as not materialized (

    select * from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}

),

days as (

    {{ day_fingerprints('operations') }}

),

grouped as (

    select
        operation_date,
        session_id,

        count(*) as operation_count,
        count(case when is_error then 1 end) as error_count,
        count(unpriced_reason) as unpriced_operation_count,

        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(latency_ms) as bigint) as total_latency_ms,

        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd,

        min(started_at) as first_operation_at,
        max(started_at) as last_operation_at

    from operations
    group by operation_date, session_id

),

final as (

    select
        grouped.*,
        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
