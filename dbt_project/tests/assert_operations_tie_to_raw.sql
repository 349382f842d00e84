{#
    The operations of a day add up to the same in the mart as in the raw table, to the token and the trillionth of a
    dollar. Days that changed in the raw table since they were built are the matter of assert_no_day_lags_behind_raw.
#}
{%- set days = days_to_check() %}

with raw_operations as (

    select
        *,
        {{ business_date(to_utc('"timestamp"')) }} as operation_date
    from {{ source('llm_ops', 'llm_operations') }}

),

raw_days as (

    select
        operation_date,
        count(*) as operation_count,
        sum({{ epoch_microseconds(to_utc('loaded_at')) }}) as versions,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(latency_ms) as latency_ms,
        sum(time_to_first_token_ms) as time_to_first_token_ms,
        sum({{ to_usd('cost') }}) as cost_usd
    from raw_operations
    where {{ falls_on(days, instant = '"timestamp"') }}
    group by operation_date

),

mart_days as (

    select
        operation_date,
        count(*) as operation_count,
        sum({{ epoch_microseconds('loaded_at') }}) as versions,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(latency_ms) as latency_ms,
        sum(time_to_first_token_ms) as time_to_first_token_ms,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

)

select
    raw_days.operation_date,
    raw_days.operation_count,
    raw_days.cost_usd as raw_cost_usd,
    mart_days.cost_usd as mart_cost_usd
from raw_days
inner join mart_days
    on
        raw_days.operation_date = mart_days.operation_date
        and raw_days.operation_count = mart_days.operation_count
        and raw_days.versions is not distinct from mart_days.versions
where
    raw_days.input_tokens is distinct from mart_days.input_tokens
    or raw_days.output_tokens is distinct from mart_days.output_tokens
    or raw_days.cache_read_tokens is distinct from mart_days.cache_read_tokens
    or raw_days.cache_write_tokens is distinct from mart_days.cache_write_tokens
    or raw_days.reasoning_tokens is distinct from mart_days.reasoning_tokens
    or raw_days.latency_ms is distinct from mart_days.latency_ms
    or raw_days.time_to_first_token_ms is distinct from mart_days.time_to_first_token_ms
    or raw_days.cost_usd is distinct from mart_days.cost_usd
