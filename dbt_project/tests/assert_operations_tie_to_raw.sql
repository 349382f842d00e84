{#
    The operations of a day add up to the same in the mart as in the raw table, to the token and the trillionth of a
    dollar of what apps recorded; of an agent's operation whose calls are recorded, neither side counts tokens and cost. Days that changed in the raw table since they were built are the matter of assert_no_day_lags_behind_raw.
#}
{%- set days = days_to_check() %}

with raw_operations as (

    select
        raw_operations.*,
        {{ business_date(to_utc('"timestamp"')) }} as operation_date,
        child_calls.operation_id is not null and {{ is_span('raw_operations.operation_type') }} as is_rollup
    from {{ source('llm_ops', 'llm_operations') }} as raw_operations
    left join {{ ref('int_child_calls_grouped') }} as child_calls
        on raw_operations.operation_id = child_calls.operation_id

),

raw_days as (

    select
        operation_date,
        count(*) as operation_count,
        sum({{ epoch_microseconds(to_utc('loaded_at')) }}) as versions,
        {%- for tokens in token_columns() %}
        sum(case when not is_rollup then {{ tokens }} end) as {{ tokens }},
        {%- endfor %}
        sum(latency_ms) as latency_ms,
        sum(time_to_first_token_ms) as time_to_first_token_ms,
        sum(case when not is_rollup then {{ to_usd('cost') }} end) as recorded_cost_usd
    from raw_operations
    where {{ falls_on(days, instant = '"timestamp"') }}
    group by operation_date

),

mart_days as (

    select
        operation_date,
        count(*) as operation_count,
        sum({{ epoch_microseconds('loaded_at') }}) as versions,
        {%- for tokens in token_columns() %}
        sum({{ tokens }}) as {{ tokens }},
        {%- endfor %}
        sum(latency_ms) as latency_ms,
        sum(time_to_first_token_ms) as time_to_first_token_ms,
        sum(recorded_cost_usd) as recorded_cost_usd
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

)

select
    raw_days.operation_date,
    raw_days.operation_count,
    raw_days.recorded_cost_usd as raw_cost_usd,
    mart_days.recorded_cost_usd as mart_cost_usd
from raw_days
inner join mart_days
    on
        raw_days.operation_date = mart_days.operation_date
        and raw_days.operation_count = mart_days.operation_count
        and raw_days.versions is not distinct from mart_days.versions
where
    {%- for tokens in token_columns() %}
    raw_days.{{ tokens }} is distinct from mart_days.{{ tokens }} or
    {%- endfor %}
    raw_days.latency_ms is distinct from mart_days.latency_ms
    or raw_days.time_to_first_token_ms is distinct from mart_days.time_to_first_token_ms
    or raw_days.recorded_cost_usd is distinct from mart_days.recorded_cost_usd
