{%- set of_operations = [
    'late_operation', 'unpriced_operation', 'missing_usage', 'missing_latency', 'impossible_value', 'refused_values',
    'without_session', 'without_parent'
] %}
{%- set of_what_came = ['duplicate_operation', 'rejected_record'] %}

with dates as (

    select * from {{ ref('dim_dates') }}

),

tallies as (

    select * from {{ ref('fct_daily_outcomes') }}

),

operations as (

    select * from {{ ref('fct_llm_operations') }}

),

refusals as (

    select * from {{ ref('stg_llm_ops__refusals') }}

),

tallied as (

    select
        {%- for kind in of_operations if kind != 'without_parent' %}
        sum({{ kind }}_count) as {{ kind }}_count,
        {%- endfor %}
        sum(operation_count) as operation_count,
        operation_date
    from tallies
    group by operation_date

),

-- Whether the operation that one is part of is there depends on all days, not on its own.
parts_of_nothing as (

    select
        parts.operation_date,
        count(*) as without_parent_count
    from operations as parts
    left join operations as wholes on parts.parent_operation_id = wholes.operation_id
    where parts.parent_operation_id is not null and wholes.operation_id is null
    group by parts.operation_date

),

refused as (

    select
        refused_date as operation_date,
        sum(case when refusal_kind = 'duplicate_operation' then refused_count end) as duplicate_operation_count,
        sum(case when refusal_kind = 'duplicate_message' then refused_count end) as duplicate_message_count,
        sum(case when refusal_kind = 'rejected_record' then refused_count end) as rejected_record_count
    from refusals
    group by refused_date

),

-- Something may be refused on a day after, or before, those of all operations.
days as (

    select operation_date from dates
    union
    select operation_date from refused

),

counted as (

    select
        {%- for kind in ['operation', 'duplicate_message'] + of_operations + of_what_came %}
        cast(coalesce({{ kind }}_count, 0) as bigint) as {{ kind }}_count,
        {%- endfor %}
        days.operation_date
    from days
    left join tallied on days.operation_date = tallied.operation_date
    left join parts_of_nothing on days.operation_date = parts_of_nothing.operation_date
    left join refused on days.operation_date = refused.operation_date

),

final as (

    select
        operation_date,
        operation_count,
        {%- for kind in of_operations %}
        {{ kind }}_count,
        cast({{ kind }}_count as double precision) / nullif(operation_count, 0) as {{ kind }}_share,
        {%- endfor %}
        {%- for kind in of_what_came %}
        {{ kind }}_count,
        cast({{ kind }}_count as double precision)
        / nullif(operation_count + duplicate_operation_count + rejected_record_count, 0) as {{ kind }}_share,
        {%- endfor %}
        duplicate_message_count

    from counted

)

select * from final
